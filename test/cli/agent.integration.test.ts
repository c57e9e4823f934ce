import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { readdirSync } from "node:fs"
import { networkInterfaces } from "node:os"
import { join } from "node:path"
import { gunzipSync } from "node:zlib"
import packageJson from "../../package.json" with { type: "json" }
import { type RequestPlan } from "../../src/domain/RequestPlan.ts"
import * as AgentAddress from "../../src/fleet/AgentAddress.ts"
import * as Sockets from "../../src/fleet/Sockets.ts"
import * as Fleets from "../engine/fleets.ts"
import * as Agents from "../fleet/agents.ts"
import * as Certificates from "../fleet/certificates.ts"
import { way } from "../fleet/sockets.ts"
import { folder } from "./invocation.ts"
import * as OpenAiServer from "./openAiServer.ts"
import { start, until } from "./processes.ts"

const { version } = packageJson
const calling: Sockets.Calling = { ...Agents.calling, version }

const tokenFile = Effect.map(Certificates.files({ token: Redacted.value(Agents.token) }), (path) => path("token"))

/** An agent in a process of its own, and where it listens. */
const agentProcess = Effect.gen(function* () {
  const rows = join(yield* folder, "rows")
  const running = yield* start(
    ["agent", `--token-file=${yield* tokenFile}`, "--listen=127.0.0.1:0", `--data-dir=${rows}`],
    { OPENAI_API_KEY: "key" }
  )
  yield* running.until(() => running.stdout().endsWith("\n"), "the agent listens")
  const [, text = ""] = / listens at (\S+) /.exec(running.stdout()) ?? []
  return { running, rows, address: Option.getOrThrow(AgentAddress.parse(text)) }
})

const specOf = (session: string, url: string) =>
  Fleets.spec(session, {
    job: {
      ...Fleets.job,
      args: ["load-test", "--model=m", `--api-base=${url}`, "--no-warmup"],
      origin: new URL(url).origin
    },
    agent: "a",
    keepsRows: true,
    silenceSeconds: 2,
    runId: "run",
    timeoutSeconds: null,
    graceSeconds: 1
  })

const planned = (count: number): ReadonlyArray<RequestPlan> =>
  Array.from({ length: count }, (_, index) => ({
    id: index + 1,
    dueSeconds: null,
    prompt: "Count.",
    inputTokens: 2,
    targetInputTokens: 2,
    outputTokens: 3,
    sampled: true
  }))

/** Prepares a session and gives it all it has to do. */
const prepared = Effect.fnUntraced(function* (agent: Sockets.Reached, session: string, url: string, count: number) {
  yield* agent.prepare(specOf(session, url))
  yield* agent.lease({ session, number: 1, plans: planned(count), last: true, places: null, reportAt: 0 })
  const now = yield* agent.clock(session)
  return { session, monotonicNanos: now, epochSeconds: 0 }
})

describe.concurrent("an agent in a process", { timeout: 90_000 }, () => {
  it.live("says where it listens, sends what it is told to, and hands in its rows", () =>
    Effect.gen(function* () {
      const server = yield* OpenAiServer.make()
      const { address, running } = yield* agentProcess
      assert.match(
        running.stdout(),
        new RegExp(`^llmperf agent ${version} listens at 127\\.0\\.0\\.1:${address.port} \\(\\d+ cores, no TLS\\)\n$`)
      )
      const agent = yield* Sockets.connect(address, calling)
      for (const session of ["s-1", "s-2"]) {
        const run = yield* prepared(agent, session, server.url, 6)
        yield* Stream.runDrain(agent.run(run))
        assert.strictEqual((yield* agent.account(session)).counters.completed, 6)
        const pieces = yield* Stream.runCollect(agent.collect({ session, log: "records", from: 0 }))
        const lines = pieces.flatMap(({ bytes }) => gunzipSync(bytes).toString().trimEnd().split("\n"))
        assert.strictEqual(lines.length, 6)
        yield* agent.release(session)
      }
      assert.strictEqual(server.seen.length, 12)
      const told = ["s-1", "s-2"].map(
        (id) => `Session ${id} of run run has begun\nSession ${id} of run run has ended\n`
      )
      yield* running.until(() => running.stderr() === told.join(""), "both sessions are told of")
      running.signal("SIGTERM")
      assert.strictEqual(yield* running.ended, 0)
      assert.isTrue(running.stderr().endsWith("\nStopping\n"))
    })
  )

  it.live("works for one coordinator at a time", () =>
    Effect.gen(function* () {
      const server = yield* OpenAiServer.make()
      const { address } = yield* agentProcess
      const first = yield* Sockets.connect(address, calling)
      yield* prepared(first, "s-1", server.url, 1)
      const { description } = yield* Effect.flip(Sockets.make({ ...calling, addresses: [address] }))
      assert.match(description, /it works for another run \(s-1\)\. Wait until that has ended/)
      const second = yield* Sockets.connect(address, calling)
      assert.match((yield* Effect.flip(second.prepare(specOf("s-2", server.url)))).description, /busy with s-1/)
    })
  )

  it.live("stops a run at SIGTERM, tells the coordinator, and ends with 0", () =>
    Effect.gen(function* () {
      const server = yield* OpenAiServer.make(() => ({ words: 10_000, everyMillis: 10 }))
      const { address, running } = yield* agentProcess
      const agent = yield* Sockets.connect(address, calling)
      const run = yield* prepared(agent, "s-1", server.url, 9)
      const lost = yield* Effect.forkChild(Effect.flip(Stream.runDrain(agent.run(run))))
      yield* until(() => server.live() === 2, "two requests are in flight")
      running.signal("SIGTERM")
      assert.strictEqual(yield* running.ended, 0)
      assert.strictEqual((yield* Fiber.join(lost)).agent, agent.name)
      yield* until(() => server.live() === 0, "nothing is in flight")
      assert.strictEqual(server.seen.length, 2)
    })
  )

  it.live("stops a run when its coordinator is gone, and is free for the next", () =>
    Effect.gen(function* () {
      const server = yield* OpenAiServer.make(() => ({ words: 10_000, everyMillis: 10 }))
      const { address, running } = yield* agentProcess
      const through = yield* way(address)
      const agent = yield* Sockets.connect(through.address, calling)
      const run = yield* prepared(agent, "s-1", server.url, 9)
      yield* Effect.forkChild(Effect.ignore(Stream.runDrain(agent.run(run))))
      yield* until(() => server.live() === 2, "two requests are in flight")
      yield* through.cut
      yield* until(() => server.live() === 0, "nothing is in flight")
      yield* until(() => running.stderr().endsWith("Session s-1 of run run has ended\n"), "the session ends")
      const [next] = yield* Sockets.make({ ...calling, addresses: [address] })
      assert.isNull(next?.profile.session)
    })
  )

  it.live("does so too when it was frozen while that happened, with pings left to answer", () =>
    Effect.gen(function* () {
      const server = yield* OpenAiServer.make(() => ({ words: 10_000, everyMillis: 10 }))
      const { address, running } = yield* agentProcess
      yield* Effect.scoped(
        Effect.gen(function* () {
          const agent = yield* Sockets.connect(address, calling)
          const run = yield* prepared(agent, "s-1", server.url, 9)
          yield* Effect.forkScoped(Effect.ignore(Stream.runDrain(agent.run(run))))
          yield* until(() => server.live() === 2, "two requests are in flight")
          running.signal("SIGSTOP")
          // Long enough for two pings
          yield* Effect.sleep(4_500)
        })
      )
      running.signal("SIGCONT")
      yield* until(() => server.live() === 0, "nothing is in flight")
      yield* running.until(() => running.stderr().endsWith("has ended\n"), "the session ends")
      running.signal("SIGTERM")
      assert.strictEqual(yield* running.ended, 0)
    })
  )

  it.live("ends at Ctrl-C, and leaves rows in a folder that it was given", () =>
    Effect.gen(function* () {
      const server = yield* OpenAiServer.make()
      const { address, rows, running } = yield* agentProcess
      const agent = yield* Sockets.connect(address, calling)
      yield* Stream.runDrain(agent.run(yield* prepared(agent, "s-1", server.url, 1)))
      assert.match(readdirSync(rows).join(), /^s-1-\w{6}$/)
      running.signal("SIGINT")
      assert.strictEqual(yield* running.ended, 0)
      assert.match(readdirSync(rows).join(), /^s-1-\w{6}$/)
    })
  )

  it.live("speaks TLS with those who have a certificate, at an IPv6 address too", () =>
    Effect.gen(function* () {
      const hasIpv6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === "::1"))
      const ca = Certificates.authority("our CA")
      const own = ca.issue()
      const path = yield* Certificates.files({ cert: own.cert, key: own.key, ca: ca.cert })
      const tls = [`--tls-cert=${path("cert")}`, `--tls-key=${path("key")}`, `--tls-ca=${path("ca")}`]
      const running = yield* start([
        "agent",
        `--token-file=${yield* tokenFile}`,
        `--listen=${hasIpv6 ? "[::1]:0" : "127.0.0.1:0"}`,
        `--data-dir=${yield* folder}`,
        ...tls
      ])
      yield* running.until(() => running.stdout().endsWith("\n"), "the agent listens")
      assert.match(running.stdout(), /\(\d+ cores, TLS\)\n$/)
      const [, address = ""] = / listens at (\S+) /.exec(running.stdout()) ?? []
      const status = yield* start([
        "fleet",
        "status",
        `--agents=${address}`,
        `--token-file=${yield* tokenFile}`,
        ...tls
      ])
      assert.strictEqual(yield* status.ended, 0)
      assert.match(status.stdout(), / free\n$/)
      const stranger = Certificates.authority("their CA").issue()
      const wrong = yield* start([
        "fleet",
        "status",
        `--agents=${address}`,
        `--token-file=${yield* tokenFile}`,
        `--tls-cert=${(yield* Certificates.files({ cert: stranger.cert }))("cert")}`,
        `--tls-key=${(yield* Certificates.files({ key: stranger.key }))("key")}`,
        `--tls-ca=${path("ca")}`
      ])
      assert.strictEqual(yield* wrong.ended, 1)
      assert.match(wrong.stderr(), /does not accept our certificate/)
    })
  )
})
