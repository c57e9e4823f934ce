import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { readFileSync } from "node:fs"
import * as Http2 from "node:http2"
import { join } from "node:path"
import * as HttpFront from "../../src/simulator/HttpFront.ts"
import * as Latency from "../../src/simulator/Latency.ts"
import * as ModelServer from "../../src/simulator/ModelServer.ts"
import { pathOf, tls } from "../provider/certificates.ts"
import { proxyServer } from "../provider/proxies.ts"
import { goodAnswer, goodBody, raw } from "../provider/servers.ts"
import { folder, llmperf } from "./invocation.ts"
import { json } from "./processes.ts"

const run = (command: string, args: ReadonlyArray<string>, concurrency = 1) =>
  llmperf(
    [
      command,
      "--model=m",
      "--max-num-completed-requests=2",
      `--num-concurrent-requests=${concurrency}`,
      "--no-warmup",
      ...args
    ],
    { env: { OPENAI_API_KEY: "secret" } }
  )

// Most of the time of a run goes into starting its threads, so they run side by side.
describe.concurrent("a run over TLS", { timeout: 90_000 }, () => {
  const secure = raw((socket) => socket.write(goodAnswer), { tls: tls("server") })

  it.live("fails with a certificate of an unknown authority", () =>
    Effect.gen(function* () {
      const { url } = yield* secure
      const outcome = yield* run("load-test", [`--api-base=${url}`])
      assert.strictEqual(outcome.exitCode, 1)
      assert.match(outcome.stdout, /2 × TLS failed/)
    })
  )

  it.live("trusts an authority that it is told of, goes through a proxy, and saves both", () =>
    Effect.gen(function* () {
      const { port, sockets, url } = yield* secure
      const proxy = yield* proxyServer({ login: "user:pa55word" })
      const results = yield* folder
      const ca = pathOf("ca.pem")
      const outcome = yield* run("load-test", [
        `--api-base=${url}`,
        `--ca=${ca}`,
        `--proxy=${proxy.url.replace("://", "://user:pa55word@")}`,
        `--results-dir=${results}`,
        "--json",
        "--quiet"
      ])
      assert.strictEqual(outcome.exitCode, 0, outcome.stderr)
      assert.strictEqual(outcome.stderr, "")
      const facts = {
        network_tls_verified: true,
        network_ca: ca,
        network_client_certificate: null,
        network_proxy: proxy.url
      }
      assert.deepInclude(json(outcome.stdout), { ...facts, results_num_completed_requests: 2 })
      assert.deepInclude(json(readFileSync(join(results, "m_550_150_summary.json"), "utf8")), facts)
      assert.notInclude(outcome.stdout, "pa55word")
      assert.isAbove(proxy.passed.length, 0)
      for (const { line } of proxy.passed) assert.strictEqual(line, `CONNECT 127.0.0.1:${port}`)
      for (const { remotePort } of sockets) assert.isTrue(proxy.ports.has(remotePort ?? -1))
    })
  )

  it.live.each(["load-test", "correctness"])("says loudly, and saves, that nothing is verified: %s", (command) =>
    Effect.gen(function* () {
      const { url } = yield* secure
      const outcome = yield* run(command, [`--api-base=${url}`, "--insecure", "--json", "--quiet"])
      assert.strictEqual(outcome.exitCode, 0, outcome.stderr)
      assert.match(outcome.stderr, /^WARNING: --insecure: [^\n]+\n$/)
      assert.deepInclude(json(outcome.stdout), { network_tls_verified: false, network_ca: null })
    })
  )
})

describe.concurrent("--http2", { timeout: 90_000 }, () => {
  const http2Server = Effect.acquireRelease(
    Effect.callback<Http2.Http2SecureServer>((resume) => {
      const server = Http2.createSecureServer(tls("server"))
      server.on("stream", (stream) => {
        stream.respond({ ":status": 200, "content-type": "text/event-stream" })
        stream.resume().once("end", () => stream.end(goodBody))
      })
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => server.close())
  )

  it.live("speaks it, and saves that it did", () =>
    Effect.gen(function* () {
      const address = (yield* http2Server).address()
      const port = typeof address === "object" && address !== null ? address.port : 0
      const outcome = yield* run("load-test", [
        `--api-base=https://127.0.0.1:${port}`,
        `--ca=${pathOf("ca.pem")}`,
        "--http2",
        "--json",
        "--quiet"
      ])
      assert.strictEqual(outcome.exitCode, 0, outcome.stderr)
      assert.deepInclude(json(outcome.stdout), { network_http2: true, results_num_completed_requests: 2 })
    })
  )

  it.live("is refused with clear words", () =>
    Effect.gen(function* () {
      const { url } = yield* raw((socket) => socket.write(goodAnswer), { tls: tls("server") })
      const outcome = yield* run("load-test", [`--api-base=${url}`, `--ca=${pathOf("ca.pem")}`, "--http2"])
      assert.strictEqual(outcome.exitCode, 1)
      const plain = yield* run("load-test", ["--api-base=http://127.0.0.1:9", "--http2"])
      assert.include([1, 2], plain.exitCode)
      assert.include(plain.stdout + plain.stderr, "https://")
      const local = yield* run("load-test", ["--llm-api=simulated", "--http2"])
      assert.strictEqual(local.exitCode, 2)
      assert.include(local.stderr, "--http2 has no meaning")
    })
  )
})

describe.concurrent("--connections", { timeout: 90_000 }, () => {
  it.live.each([["load-test"], ["correctness"]])(
    "fresh gives every request a connection of its own: %j",
    ([command = "", ...more]) =>
      Effect.gen(function* () {
        const server = yield* raw((socket) => socket.write(goodAnswer))
        const outcome = yield* run(
          command,
          [`--api-base=${server.url}`, "--connections=fresh", "--json", "--quiet", ...more],
          2
        )
        assert.strictEqual(outcome.exitCode, 0, outcome.stderr)
        assert.deepInclude(json(outcome.stdout), { network_connections: "fresh" })
        assert.strictEqual(server.opened(), 2)
        for (const { headers } of server.received) {
          assert.deepStrictEqual(
            headers.filter(([name]) => name === "connection"),
            [["connection", "close"]]
          )
        }
      })
  )

  it.live("a request that was written twice is a row that says so, and is counted", () =>
    Effect.gen(function* () {
      const server = yield* raw((socket, _request, ordinal) =>
        ordinal === 2 ? socket.resetAndDestroy() : socket.write(goodAnswer)
      )
      const results = yield* folder
      const outcome = yield* run("load-test", [`--api-base=${server.url}`, `--results-dir=${results}`, "--json"])
      assert.strictEqual(outcome.exitCode, 0, outcome.stderr)
      assert.deepInclude(json(outcome.stdout), { results_num_completed_requests: 2, results_num_retried_requests: 1 })
      assert.include(outcome.stderr, "1 request was written again on a new connection")
      const [first = {}, second = {}] = readFileSync(join(results, "records.ndjson"), "utf8")
        .trim()
        .split("\n")
        .map(json)
      assert.notProperty(first, "connection_retry_s")
      assert.isAtLeast(Number(second["connection_retry_s"]), 0)
    })
  )

  it.live("is refused with clear words", () =>
    Effect.gen(function* () {
      const both = yield* run("load-test", ["--api-base=https://127.0.0.1:9", "--http2", "--connections=fresh"])
      assert.strictEqual(both.exitCode, 2)
      assert.include(both.stderr, "--connections fresh and --http2 exclude each other")
      const none = yield* run("load-test", ["--api-base=http://127.0.0.1:9", "--connections=none"])
      assert.strictEqual(none.exitCode, 2)
      assert.include(none.stderr, "one of reuse, fresh")
    })
  )
})

describe.concurrent("--provider", { timeout: 90_000 }, () => {
  const example = join(import.meta.dirname, "..", "..", "examples", "04_new-provider.ts")
  const model = ModelServer.ModelServerOptions.make({ ttft: Latency.constant(0.002), itl: Latency.constant(0) })
  const front = Layer.provide(HttpFront.layer(HttpFront.HttpFrontOptions.make({})), ModelServer.layer(model))

  it.live.each([
    ["load-test", { results_num_completed_requests: 2, results_number_errors: 0 }],
    ["correctness", { num_correct_requests: 2, number_errors: 0 }]
  ] as const)("is what a run asks with, and is named after its file: %s", ([command, results]) =>
    Effect.gen(function* () {
      const { url } = Context.get(yield* Layer.build(front), HttpFront.HttpFront)
      const outcome = yield* run(command, [`--provider=${example}`, `--api-base=${url}`, "--json", "--quiet"])
      assert.strictEqual(outcome.exitCode, 0, outcome.stderr)
      assert.deepInclude(json(outcome.stdout), { ...results, llm_api: "04_new-provider.ts" })
    })
  )

  it.live("is refused with 2 when it cannot be loaded, and with flags that mean nothing to it", () =>
    Effect.gen(function* () {
      for (const command of ["load-test", "correctness"]) {
        const missing = yield* run(command, ["--provider=/does/not/exist.ts"])
        assert.strictEqual(missing.exitCode, 2)
        assert.include(missing.stderr, "--provider /does/not/exist.ts: there is no such file")
        const meaningless = yield* run(command, [`--provider=${example}`, "--payload-style=tgi"])
        assert.strictEqual(meaningless.exitCode, 2)
        assert.include(meaningless.stderr, "--payload-style has no meaning for --provider.")
        assert.strictEqual(missing.stdout + meaningless.stdout, "")
      }
    })
  )
})
