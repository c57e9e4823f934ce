import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { type RequestPlan } from "../../src/domain/RequestPlan.ts"
import { Fleet } from "../../src/engine/Fleet.ts"
import { type Piece } from "../../src/engine/LoadAgent.ts"
import * as AgentAddress from "../../src/fleet/AgentAddress.ts"
import * as Sockets from "../../src/fleet/Sockets.ts"
import * as Agents from "./agents.ts"
import * as Certificates from "./certificates.ts"
import { stranger, until, way } from "./sockets.ts"

const ca = Certificates.authority("our CA")
const otherCa = Certificates.authority("their CA")
const client = Agents.credentials(ca.issue({ name: "coordinator", hosts: [] }), ca.cert)

const secure = (options: Parameters<typeof ca.issue>[0] = {}) =>
  Agents.serve({ credentials: Agents.credentials(ca.issue(options), ca.cert) })

const start = { session: "s-1", monotonicNanos: 0, epochSeconds: 0 }

describe.concurrent("an agent at an address", () => {
  it.live("says who it is", () =>
    Effect.gen(function* () {
      const address = yield* Agents.serve({ profile: { cores: 64 } })
      const agent = yield* Sockets.connect(address, Agents.calling)
      assert.strictEqual(agent.name, AgentAddress.format(address))
      assert.deepStrictEqual(agent.profile, { ...Agents.profile, cores: 64 })
    })
  )

  it.live.each(["127.0.0.1", "localhost"])("says who it is over TLS: %s", (host) =>
    Effect.gen(function* () {
      const { port } = yield* secure()
      const agent = yield* Sockets.connect({ host, port }, { ...Agents.calling, credentials: client })
      assert.deepStrictEqual(agent.profile, Agents.profile)
    })
  )

  const failures: ReadonlyArray<
    readonly [
      what: string,
      serve: Effect.Effect<AgentAddress.AgentAddress, unknown, Scope.Scope>,
      calling: Partial<Sockets.Calling>,
      told: RegExp
    ]
  > = [
    ["with another token", Agents.serve(), { token: Redacted.make("x".repeat(32)) }, /another token.*--token-file/],
    [
      "of another version",
      Agents.serve(),
      { version: "0.0.1" },
      /llmperf 9\.9\.9 \(protocol 2\), this is 0\.0\.1.*Install the same version/
    ],
    [
      "that is not there",
      Effect.succeed({ host: "127.0.0.1", port: 9 }),
      {},
      /nobody listens there.*llmperf agent --listen/
    ],
    ["on a host that is not there", Effect.succeed({ host: "nowhere.invalid", port: 9 }), {}, /no such host/],
    ["that wants TLS", secure(), {}, /closes connections without a word.*--tls-cert/],
    ["that has no TLS", Agents.serve(), { credentials: client }, /does not speak TLS/],
    ["with an expired certificate", secure(Certificates.expired), { credentials: client }, /certificate has expired/],
    [
      "with a certificate for another host",
      secure({ hosts: ["node-7"] }),
      { credentials: client },
      /for another host \(IP: 127\.0\.0\.1 is not in/
    ],
    [
      "with a certificate of another CA",
      secure(),
      { credentials: { ...client, ca: otherCa.cert } },
      /not signed by the CA in --tls-ca/
    ],
    [
      "that does not know our CA",
      secure(),
      { credentials: Agents.credentials(otherCa.issue(), ca.cert) },
      /does not accept our certificate/
    ],
    [
      "to which our certificate has expired",
      secure(),
      { credentials: Agents.credentials(ca.issue(Certificates.expired), ca.cert) },
      /does not accept our certificate/
    ],
    [
      "that is a web server",
      stranger((socket) => socket.end(`HTTP/1.1 400 Bad Request\r\n\r\n${"x".repeat(99)}`)),
      {},
      /not understood/
    ],
    ["that closes the door", stranger((socket) => socket.destroy()), {}, /closes connections without a word/],
    ["that says nothing", stranger(() => {}), {}, /takes the connection and then says nothing/],
    ["that does not shake hands", stranger(() => {}), { credentials: client }, /does not answer/]
  ]

  it.live.each(failures)("is not worked with: one %s", ([, serve, calling, told]) =>
    Effect.gen(function* () {
      const address = yield* serve
      const { description } = yield* Effect.flip(Sockets.connect(address, { ...Agents.calling, ...calling }))
      assert.isTrue(description.startsWith(`${AgentAddress.format(address)}: `), description)
      assert.match(description, told)
      assert.notMatch(description, /Error|undefined|\[object|\n/)
    })
  )

  it.live("does nothing for those who do not know its token", () =>
    Effect.gen(function* () {
      const calls: Array<string> = []
      const address = yield* Agents.serve({ onCall: (call) => calls.push(call) })
      yield* Effect.flip(Sockets.connect(address, { ...Agents.calling, token: Redacted.make("x".repeat(32)) }))
      assert.deepStrictEqual(calls, [])
      yield* Sockets.connect(address, Agents.calling)
      assert.deepStrictEqual(calls, ["Hello"])
    })
  )
})

describe.concurrent("agents at addresses", () => {
  it.live("are a fleet", () =>
    Effect.gen(function* () {
      const addresses = [yield* Agents.serve(), yield* Agents.serve({ profile: { pid: 102 } })]
      const fleet = yield* Fleet.pipe(Effect.provide(Sockets.layer({ ...Agents.calling, addresses })))
      assert.deepStrictEqual(
        fleet.agents.map(({ name }) => name),
        addresses.map(AgentAddress.format)
      )
    })
  )

  it.live("are all told of at once when they cannot be used, and nothing else is asked of the others", () =>
    Effect.gen(function* () {
      const calls: Array<string> = []
      const good = yield* Agents.serve({ onCall: (call) => calls.push(call) })
      const busy = yield* Agents.serve({ profile: { pid: 102, session: "s-7" } })
      const gone = { host: "127.0.0.1", port: 9 }
      const stranger = yield* Agents.serve({ token: Redacted.make("y".repeat(32)) })
      const { description } = yield* Effect.flip(
        Sockets.make({ ...Agents.calling, addresses: [good, busy, gone, stranger] })
      )
      const [first, ...problems] = description.split("\n")
      assert.strictEqual(first, "3 of 4 agents cannot be used")
      assert.strictEqual(problems.length, 3)
      assert.match(description, new RegExp(`\n  127.0.0.1:${busy.port}: it works for another run \\(s-7\\)`))
      assert.match(description, /\n {2}127\.0\.0\.1:9: nobody listens there/)
      assert.match(description, new RegExp(`\n  127.0.0.1:${stranger.port}: it has another token`))
      assert.deepStrictEqual(calls, ["Hello"])
    })
  )

  it.live("are not the same one by two names", () =>
    Effect.gen(function* () {
      const { port } = yield* Agents.serve()
      const addresses = ["127.0.0.1", "localhost"].map((host) => ({ host, port }))
      const { description } = yield* Effect.flip(Sockets.make({ ...Agents.calling, addresses }))
      assert.include(
        description,
        `localhost:${port}: it is the same agent as 127.0.0.1:${port} (process 101 on node-1)`
      )
    })
  )
})

describe.concurrent("a connection", () => {
  it.live("that breaks ends the run at both sides, and is made again for what the agent has kept", () =>
    Effect.gen(function* () {
      const calls: Array<string> = []
      const piece: Piece = { bytes: new Uint8Array([1, 2, 3]), size: 3, count: 1 }
      const to = yield* Agents.serve({ onCall: (call) => calls.push(call), pieces: Stream.make(piece) })
      const { address, cut, state } = yield* way(to)
      const agent = yield* Sockets.connect(address, Agents.calling)
      const running = yield* Effect.forkChild(Effect.flip(Stream.runDrain(agent.run(start))))
      yield* until(() => calls.includes("Run"), "the run begins")
      yield* cut
      const lost = yield* Fiber.join(running)
      assert.deepInclude({ ...lost }, { agent: agent.name, problem: "the connection was closed at its side" })
      assert.deepStrictEqual(yield* Stream.runCollect(agent.collect({ session: "s-1", log: "records", from: 0 })), [
        piece
      ])
      yield* until(() => calls.includes("Run has ended"), "the run ends")
      assert.strictEqual(state.connections, 2)
      // Nothing is ever sent twice; the new connection shows the token with a call of its own
      assert.deepStrictEqual(
        calls.filter((call) => call !== "Run has ended" && call !== "Clock"),
        ["Hello", "Run", "Collect"]
      )
      assert.strictEqual((yield* Effect.flip(agent.account("s-1"))).problem, "it knows nothing of this run")
    })
  )

  it.live("is made again when the agent comes back after some time", () =>
    Effect.gen(function* () {
      const first = yield* Scope.make()
      const address = yield* Scope.provide(Agents.serve(), first)
      const agent = yield* Sockets.connect(address, Agents.calling)
      yield* Scope.close(first, Exit.void)
      yield* Effect.sleep(700)
      assert.match((yield* Effect.flip(agent.clock(null))).problem, /^nobody listens there/)
      yield* Agents.serve({ port: address.port })
      // Waits for the connection
      assert.strictEqual((yield* Effect.flip(agent.account("s-1"))).problem, "it knows nothing of this run")
      assert.isAbove(yield* agent.clock(null), 0)
    })
  )

  it.live("that leads nowhere any more is found out after 5 seconds", () =>
    Effect.gen(function* () {
      const to = yield* Agents.serve({
        reports: Stream.fromEffectRepeat(Effect.delay(Effect.succeed(Agents.report(1)), 250))
      })
      const { address, state } = yield* way(to)
      const agent = yield* Sockets.connect(address, Agents.calling)
      const heard = Deferred.makeUnsafe<void>()
      const running = yield* Effect.forkChild(
        Effect.flip(Stream.runForEach(agent.run(start), () => Deferred.succeed(heard, undefined)))
      )
      yield* Deferred.await(heard)
      state.isFrozen = true
      const lost = yield* Effect.timeout(Fiber.join(running), 15_000)
      assert.strictEqual(lost.problem, "nothing was heard of it for 5 s")
      state.isFrozen = false
    })
  )

  it.live("stops the run of the agent when the coordinator stops it", () =>
    Effect.gen(function* () {
      const calls: Array<string> = []
      const address = yield* Agents.serve({ onCall: (call) => calls.push(call) })
      const agent = yield* Sockets.connect(address, Agents.calling)
      const running = yield* Effect.forkChild(Stream.runDrain(agent.run(start)))
      yield* until(() => calls.includes("Run"), "the run begins")
      yield* Fiber.interrupt(running)
      yield* until(() => calls.includes("Run has ended"), "the run ends")
    })
  )

  it.live("holds an agent back that says more than is taken", () =>
    Effect.gen(function* () {
      let made = 0
      const reports = Stream.fromEffectRepeat(
        Effect.sync(() => {
          made++
          return Agents.report(made, new Uint8Array(8_192))
        })
      )
      const address = yield* Agents.serve({ reports })
      const agent = yield* Sockets.connect(address, Agents.calling)
      const taken = yield* agent.run(start).pipe(
        Stream.tap(() => Effect.sleep(5)),
        Stream.take(40),
        Stream.runCollect
      )
      assert.deepStrictEqual(
        taken.map(({ taken }) => taken),
        Array.from({ length: 40 }, (_, index) => index + 1)
      )
      assert.isBelow(made, 40 + 200)
    })
  )

  it.live("carries a lease as large as the engine makes them", () =>
    Effect.gen(function* () {
      const calls: Array<string> = []
      const address = yield* Agents.serve({ onCall: (call) => calls.push(call) })
      const agent = yield* Sockets.connect(address, Agents.calling)
      const plans = Array.from({ length: 1_000 }, (_, index): RequestPlan => ({
        id: index + 1,
        dueSeconds: index / 10,
        prompt: "Shall I compare thee to a summer's day? ".repeat(1_000),
        inputTokens: 10_000,
        targetInputTokens: 10_000,
        outputTokens: 100,
        sampled: true
      }))
      yield* agent.lease({ session: "s-1", number: 1, plans, last: true, places: null, reportAt: 0 })
      assert.include(calls, "Lease 1000")
      assert.isAbove(yield* agent.clock(null), 0)
    })
  )
})
