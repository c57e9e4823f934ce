import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { pathOf, pem, tls } from "../provider/certificates.ts"
import { proxyServer } from "../provider/proxies.ts"
import { answer, freePort, goodAnswer, raw } from "../provider/servers.ts"
import { folder, llmperf } from "./invocation.ts"
import { json } from "./processes.ts"
import { writeFileSync } from "node:fs"
import { join } from "node:path"

const env = { OPENAI_API_KEY: "sk-live-0123456789abcdef" }

const probe = (base: string, args: ReadonlyArray<string> = [], more: { readonly [name: string]: string } = {}) =>
  llmperf(["probe", "--model=m", `--api-base=${base}`, ...args], { env: { ...env, ...more } })

const works = ({ exitCode, stderr, stdout, unreported }: Effect.Success<ReturnType<typeof llmperf>>): void => {
  assert.strictEqual(unreported, "")
  assert.strictEqual(exitCode, 0, stdout + stderr)
  assert.match(stdout, /It works: \d+ chunk/)
}

describe("llmperf probe", () => {
  it.live("shows a request and its answer", () =>
    Effect.gen(function* () {
      const server = yield* raw((socket) => socket.write(goodAnswer))
      const outcome = yield* probe(server.url, ["--prompt=Say hello", "--max-tokens=7", "-H", "X-Team: blue"])
      works(outcome)
      assert.strictEqual(outcome.stderr, "")
      for (const words of [
        `POST ${server.url}/v1/chat/completions`,
        "authorization: Bearer <24 characters>",
        "x-team: blue",
        "Say hello",
        '"max_tokens":7',
        "connected: DNS",
        "HTTP 200",
        "content-type: text/event-stream",
        '"Hello"',
        '" world"',
        "finished  stop",
        "end"
      ]) {
        assert.include(outcome.stdout, words)
      }
      assert.notInclude(outcome.stdout, env.OPENAI_API_KEY)
      // Then it is asked to count, which this server does not understand
      assert.deepStrictEqual(
        server.received.map(({ line }) => line),
        ["POST /v1/chat/completions HTTP/1.1", "POST /tokenize HTTP/1.1"]
      )
    })
  )

  it.live("prints nothing but JSON when it is asked to", () =>
    Effect.gen(function* () {
      const { exitCode, stderr, stdout } = yield* llmperf([
        "probe",
        "--llm-api=simulated",
        "--model=demo;n=5",
        "--sim-ttft=20ms",
        "--sim-itl=1ms",
        "--json"
      ])
      assert.strictEqual(exitCode, 0)
      assert.strictEqual(stderr, "")
      const document = json(stdout)
      assert.isTrue(document["ok"])
      assert.strictEqual(document["finish_reason"], "stop")
      assert.deepInclude(document["usage"], { output_tokens: 5 })
      assert.isAtLeast(Number(document["ttft_ms"]), 20)
    })
  )

  it.live.each(["openai", "anthropic"])("says why it failed and ends with 1: %s", (api) =>
    Effect.gen(function* () {
      const server = yield* raw((socket) =>
        socket.write(
          answer("401 Unauthorized", JSON.stringify({ error: { type: "authentication_error", message: "bad key" } }))
        )
      )
      const outcome = yield* probe(server.url, [`--llm-api=${api}`], { ANTHROPIC_API_KEY: "sk-ant-0123456789" })
      assert.strictEqual(outcome.exitCode, 1, outcome.stderr)
      assert.include(outcome.stdout, "It failed: HTTP 401: bad key")
      assert.include(outcome.stdout, "credentials")
      assert.strictEqual(outcome.unreported, "")
      const asJson = yield* probe(server.url, [`--llm-api=${api}`, "--json"], {
        ANTHROPIC_API_KEY: "sk-ant-0123456789"
      })
      assert.strictEqual(asJson.exitCode, 1)
      assert.deepInclude(json(asJson.stdout)["error"], { error_code: 401, error_reason: "HttpStatus" })
    })
  )

  it.live("an answer of another API is a failure, and shown", () =>
    Effect.gen(function* () {
      const server = yield* raw((socket) => socket.write(goodAnswer))
      const outcome = yield* probe(server.url, ["--endpoint=responses"])
      assert.strictEqual(outcome.exitCode, 1, outcome.stdout)
      assert.include(outcome.stdout, "200 without any event of the Responses API")
      assert.include(outcome.stdout, "is this the right --endpoint?")
      assert.include(outcome.stdout, "What came:\n  data: ")
      assert.strictEqual(outcome.unreported, "")
    })
  )

  it.live("nothing listens", () =>
    Effect.gen(function* () {
      const outcome = yield* probe(`http://127.0.0.1:${yield* freePort}`)
      assert.strictEqual(outcome.exitCode, 1)
      assert.include(outcome.stdout, "ECONNREFUSED")
      assert.include(outcome.stdout, "Nothing was sent.")
      assert.include(outcome.stdout, "is the server running")
    })
  )

  it.live("wrong use ends with 2, and sends nothing", () =>
    Effect.gen(function* () {
      const noKey = yield* llmperf(["probe", "--model=m", "--api-base=https://api.invalid"])
      assert.strictEqual(noKey.exitCode, 2)
      assert.include(noKey.stderr, "OPENAI_API_KEY")
      const noModel = yield* llmperf(["probe"])
      assert.strictEqual(noModel.exitCode, 2)
    })
  )

  it.live("a server that is silent is left after --request-timeout", () =>
    Effect.gen(function* () {
      const server = yield* raw(() => {})
      const outcome = yield* probe(server.url, ["--request-timeout=200ms"])
      assert.strictEqual(outcome.exitCode, 1)
      assert.include(outcome.stdout, "Timed out (total) after 0.2 s")
    })
  )
})

describe("network flags", () => {
  const secure = raw((socket) => socket.write(goodAnswer), { tls: tls("server") })

  it.live("--ca, --client-cert and --client-key", () =>
    Effect.gen(function* () {
      const server = yield* secure
      const refused = yield* probe(server.url)
      assert.strictEqual(refused.exitCode, 1)
      assert.include(refused.stdout, "--ca FILE")
      works(yield* probe(server.url, [`--ca=${pathOf("ca.pem")}`]))
      works(yield* probe(server.url, [], { LLMPERF_CA: pathOf("ca.pem") }))
      const strict = yield* raw((socket) => socket.write(goodAnswer), {
        tls: { ...tls("server"), requestCert: true, rejectUnauthorized: true, ca: pem("ca") }
      })
      const client = [`--client-cert=${pathOf("client.pem")}`, `--client-key=${pathOf("client.key.pem")}`]
      works(yield* probe(strict.url, [`--ca=${pathOf("ca.pem")}`, ...client]))
      const both = join(yield* folder, "both.pem")
      writeFileSync(both, pem("client") + pem("client.key"))
      works(yield* probe(strict.url, [`--ca=${pathOf("ca.pem")}`, `--client-cert=${both}`]))
    })
  )

  it.live("--insecure is said loudly", () =>
    Effect.gen(function* () {
      const server = yield* secure
      const outcome = yield* probe(server.url, ["--insecure"])
      works(outcome)
      assert.match(outcome.stderr, /^WARNING: --insecure/)
    })
  )

  it.live.each([
    ["--ca=/nowhere.pem", "--ca: /nowhere.pem cannot be read"],
    [`--ca=${pathOf("client.key.pem")}`, "no certificate"],
    [`--client-key=${pathOf("client.key.pem")}`, "--client-cert"],
    [`--client-cert=${pathOf("client.pem")}`, "client certificate"],
    ["--proxy=socks5://user:pa55word@proxy:1080", "proxy"]
  ] as const)("what cannot be used is told before anything is sent: %s", ([flag, words]) =>
    Effect.gen(function* () {
      const outcome = yield* probe("http://127.0.0.1:1", [flag])
      assert.strictEqual(outcome.exitCode, 2)
      assert.include(outcome.stderr, words)
      assert.notInclude(outcome.stderr, "pa55word")
      assert.strictEqual(outcome.stdout, "")
    })
  )

  it.live("proxies from variables, in both cases, and --proxy", () =>
    Effect.gen(function* () {
      const server = yield* raw((socket) => socket.write(goodAnswer))
      const tlsServer = yield* secure
      const proxy = yield* proxyServer({ login: "user:pa55word" })
      const address = proxy.url.replace("://", "://user:pa55word@")
      const plain = `http://llm.test:${server.port}`
      const through = [
        probe(plain, [], { HTTP_PROXY: address }),
        probe(plain, [], { http_proxy: address, HTTP_PROXY: "http://127.0.0.1:1" }),
        probe(plain, [], { ALL_PROXY: address, no_proxy: "" }),
        probe(plain, [`--proxy=${address}`], { HTTP_PROXY: "http://127.0.0.1:1" }),
        probe(server.url, [`--proxy=${address}`]),
        probe(`https://llm.test:${tlsServer.port}`, [`--ca=${pathOf("ca.pem")}`], { HTTPS_PROXY: address })
      ]
      const passed = (isCount: boolean) => proxy.passed.filter(({ line }) => line.endsWith("/tokenize") === isCount)
      for (const [index, run] of through.entries()) {
        const outcome = yield* run
        works(outcome)
        assert.include(outcome.stdout, `through the proxy ${proxy.url}`)
        assert.lengthOf(passed(false), index + 1)
        assert.notInclude(outcome.stdout, "pa55word")
        assert.notInclude(outcome.stdout, Buffer.from("user:pa55word").toString("base64"))
      }
      const around = [
        probe(server.url, [], { HTTP_PROXY: address, HTTPS_PROXY: address }),
        probe(server.url, [`--proxy=${address}`], { NO_PROXY: "127.0.0.1" }),
        probe(server.url, ["--proxy=none"], { HTTP_PROXY: address }),
        llmperf(["probe", "--llm-api=simulated", "--model=m;n=2", `--proxy=${address}`])
      ]
      for (const run of around) works(yield* run)
      assert.lengthOf(passed(false), through.length)
      // The server is asked to count in the same way; over TLS nobody sees it
      assert.lengthOf(passed(true), through.length - 1)
    })
  )
})
