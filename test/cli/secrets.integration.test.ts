import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { answer, event, freePort, piece, raw, type Received, streamHead } from "../provider/servers.ts"
import { folder, llmperf } from "./invocation.ts"
import { start, until } from "./processes.ts"

/** Every variable that holds a secret. */
const secrets: { readonly [variable: string]: string } = {
  OPENAI_API_KEY: "sk-secret0penai/0123456789+abc=",
  ANTHROPIC_API_KEY: "sk-ant-secretanthr0pic0123456789",
  AZURE_API_KEY: "secretazure0123456789abcdef",
  TOGETHERAI_API_KEY: "secrett0gether0123456789abcdef",
  HUGGINGFACE_API_KEY: "hf_secrethuggingface0123456789",
  GEMINI_API_KEY: "AIzasecretgemini0123456789abcdef",
  LITELLM_API_KEY: "sk-secretlitellm0123456789",
  GCLOUD_ACCESS_TOKEN: "ya29.secretgcl0ud0123456789abcdef",
  AWS_SECRET_ACCESS_KEY: "wJalrsecretaws0123456789/abcdefEXAMPLE",
  AWS_SESSION_TOKEN: "FwoGZXsecretsessi0n0123456789//////////abc="
}

const proxyPassword = "secretpr0xypassw0rd"

const environment = {
  ...secrets,
  AWS_ACCESS_KEY_ID: "AKIAEXAMPLE",
  AWS_REGION_NAME: "us-east-1",
  GCLOUD_PROJECT_ID: "project",
  GCLOUD_REGION: "us-central1",
  VERTEXAI_ENDPOINT_ID: "endpoint",
  AZURE_API_VERSION: "2024-10-21"
}

const headerSecret = "secretheader0123456789"

const all = [...Object.values(secrets), proxyPassword, headerSecret].flatMap((secret) => [
  secret,
  encodeURIComponent(secret),
  Buffer.from(secret).toString("base64").replace(/=+$/, "")
])

const clean = (text: string, where: string): void => {
  for (const secret of all) assert.isFalse(text.includes(secret), `${secret} in ${where}:\n${text.slice(0, 3_000)}`)
}

/** Repeats all it was told, as careless servers and gateways do. */
const repeated = ({ headers, line }: Received): string =>
  `denied: ${line} ${headers.map(([name, value]) => `${name}: ${value}`).join(", ")}`

const echo = raw((socket, request) =>
  socket.write(
    answer("401 Unauthorized", JSON.stringify({ error: { message: repeated(request), code: null } }), {
      "content-type": "application/json"
    })
  )
)

const small = ["--max-num-completed-requests=2", "--num-concurrent-requests=1", "--no-warmup", "--log-level=all"]

const filesIn = (path: string): ReadonlyArray<readonly [string, string]> =>
  readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => [entry.name, readFileSync(join(entry.parentPath, entry.name), "utf8")] as const)

/** Runs a command in this process and looks at everything that comes of it. */
const tell = Effect.fnUntraced(function* (
  command: string,
  args: ReadonlyArray<string>,
  more: { readonly [name: string]: string } = {}
) {
  const results = yield* folder
  const saved = command === "probe" ? [] : [`--results-dir=${results}`, ...small]
  const outcome = yield* llmperf([command, ...args, ...saved], { env: { ...environment, ...more } })
  const files = filesIn(results)
  for (const [name, text] of [...files, ...Object.entries(outcome)]) clean(String(text), name)
  return { ...outcome, files }
})

const commands = ["load-test", "correctness", "probe"]

describe("secrets are nowhere", () => {
  it.live.each([
    ["openai", "m"],
    ["openai", "m", "--endpoint=responses"],
    ["anthropic", "m"],
    ["azure", "m"],
    ["litellm", "m"],
    ["litellm", "together_ai/m"],
    ["together", "m"],
    ["huggingface", "m"],
    ["vertexai", "m"],
    ["gemini", "m"],
    ["sagemaker", "m"],
    ["bedrock", "m"]
  ])("a server that repeats them: %s %s", ([api, model, ...more]) =>
    Effect.gen(function* () {
      const server = yield* echo
      const args = [`--llm-api=${api}`, `--model=${model}`, `--api-base=${server.url}`, ...more]
      const { exitCode, files, stderr, stdout } = yield* tell("load-test", [...args, `-H=X-Auth: ${headerSecret}`])
      // It has been sent, refused, and recorded.
      assert.strictEqual(exitCode, 1, stderr + stdout)
      assert.isAbove(server.received.length, 0)
      const sent = server.received.map(repeated).join()
      assert.include(sent, headerSecret)
      assert.isTrue(
        Object.values(secrets).some((secret) => sent.includes(secret)),
        "the server was sent a key"
      )
      const records = files.find(([name]) => name === "records.ndjson")?.[1] ?? ""
      assert.include(records, "denied: POST")
      assert.include(records, "***")
      const probed = yield* tell("probe", [...args, `-H=X-Auth: ${headerSecret}`])
      assert.strictEqual(probed.exitCode, 1)
      assert.include(probed.stdout, "***")
      yield* tell("probe", [...args, "--json"])
    })
  )

  it.live.each(commands)("every way to fail: %s", (command) =>
    Effect.gen(function* () {
      const inStream = yield* raw((socket, request) =>
        socket.write(
          Buffer.concat([
            Buffer.from(streamHead),
            piece(event(JSON.stringify({ error: { message: repeated(request), code: secrets["OPENAI_API_KEY"] } })))
          ])
        )
      )
      const page = yield* raw((socket, request) =>
        socket.write(answer("200 OK", `<html>${repeated(request)}</html>`, { "content-type": "text/html" }))
      )
      const moved = yield* raw((socket, request) =>
        socket.write(
          answer("302 Found", "", { location: `https://llm.test/?key=${encodeURIComponent(keyOf(request))}` })
        )
      )
      const garbage = yield* raw((socket, request) =>
        socket.write(Buffer.concat([Buffer.from(streamHead), piece(`data: {"${repeated(request)}\n\n`)]))
      )
      const secure = yield* raw(() => {}, { tls: true })
      const nowhere = yield* freePort
      const bases = [
        ...[inStream, page, moved, garbage, secure].map(({ url }) => url),
        `http://127.0.0.1:${nowhere}`,
        "http://llmperf.invalid"
      ]
      for (const base of bases) {
        const { exitCode, stderr } = yield* tell(command, ["--model=m", `--api-base=${base}`])
        assert.strictEqual(exitCode, 1, stderr)
      }
      assert.isAbove(inStream.received.length, 0)
      assert.isAbove(garbage.received.length, 0)
    })
  )

  it.live.each(commands)("wrong use: %s", (command) =>
    Effect.gen(function* () {
      const key = secrets["OPENAI_API_KEY"] ?? ""
      const cases: ReadonlyArray<readonly [ReadonlyArray<string>, { readonly [name: string]: string }]> = [
        [["--model=m"], { OPENAI_API_BASE: "not an address" }],
        [["--model=m"], { OPENAI_API_BASE: "" }],
        // Two variables taken for one another
        [["--model=m"], { OPENAI_API_BASE: key, OPENAI_API_KEY: "http://127.0.0.1:1" }],
        [["--model=m", "--api-base=http://127.0.0.1:1", "--no-such-flag"], {}],
        // Headers without a name
        [["--model=m", "--api-base=http://127.0.0.1:1", `--header=${headerSecret}`], {}],
        [["--model=m", "--api-base=http://127.0.0.1:1"], { LLMPERF_HEADER: `X-Team: a\n${headerSecret}` }],
        // SOCKS, and a password that was not encoded
        [["--model=m", "--api-base=http://127.0.0.1:1", `--proxy=socks5://user:${proxyPassword}@127.0.0.1:1`], {}],
        [
          ["--model=m", "--api-base=http://127.0.0.1:1"],
          { LLMPERF_PROXY: `http://user:${proxyPassword}@/@127.0.0.1:x` }
        ],
        [["--llm-api=anthropic", "--model=m"], { ANTHROPIC_API_KEY: "" }],
        [[], {}]
      ]
      for (const [args, env] of cases) {
        const { exitCode } = yield* tell(command, args, env)
        assert.strictEqual(exitCode, 2, args.join(" "))
      }
    })
  )

  it.live.each(commands)("help: %s", (command) =>
    Effect.gen(function* () {
      const { stdout } = yield* llmperf([command, "--help"], { env: environment })
      assert.include(stdout, "--model")
      clean(stdout, "--help")
    })
  )
})

const keyOf = ({ headers }: Received): string =>
  (headers.find(([name]) => name === "authorization")?.[1] ?? "").replace("Bearer ", "")

/** The command lines of all processes that hold such a word, on systems that show them as files. */
const commandLines = (word: string): ReadonlyArray<string> =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const line = readFileSync(`/proc/${pid}/cmdline`, "utf8")
        return line.includes(word) ? [line + readFileSync(`/proc/${pid}/comm`, "utf8")] : []
      } catch {
        return []
      }
    })

describe("a process", { timeout: 90_000 }, () => {
  it.live("a failing load test, from its command line to its files", () =>
    Effect.gen(function* () {
      let mayAnswer = false
      const server = yield* raw((socket, request) => {
        const timer = setInterval(() => {
          if (!mayAnswer) return
          clearInterval(timer)
          socket.write(answer("401 Unauthorized", JSON.stringify({ error: { message: repeated(request) } })))
        }, 10)
        socket.once("close", () => clearInterval(timer))
      })
      const results = yield* folder
      const running = yield* start(
        ["load-test", "--model=m", "--run-id=secrets-7f3a", `--results-dir=${results}`, ...small],
        { ...environment, OPENAI_API_BASE: server.url, HTTPS_PROXY: `http://user:${proxyPassword}@127.0.0.1:1` }
      )
      yield* until(() => server.received.length > 0, "the first request comes")
      if (process.platform === "linux") {
        const lines = commandLines("secrets-7f3a")
        assert.isAbove(lines.length, 0)
        for (const line of lines) clean(line, "the command line")
      }
      mayAnswer = true
      assert.strictEqual(yield* running.ended, 1)
      clean(running.stdout(), "stdout")
      clean(running.stderr(), "stderr")
      const files = filesIn(results)
      assert.isAtLeast(files.length, 3)
      for (const [name, text] of files) clean(text, name)
      assert.include(files.map(([, text]) => text).join(), "denied: POST")
    })
  )

  it.live("nobody listens, and a base that is none", () =>
    Effect.gen(function* () {
      const refused = yield* start(["load-test", "--model=m", ...small], {
        ...environment,
        OPENAI_API_BASE: `http://127.0.0.1:${yield* freePort}`
      })
      const wrong = yield* start(["load-test", "--model=m", ...small], {
        ...environment,
        OPENAI_API_BASE: secrets["OPENAI_API_KEY"] ?? ""
      })
      assert.strictEqual(yield* refused.ended, 1)
      assert.strictEqual(yield* wrong.ended, 2)
      for (const running of [refused, wrong]) {
        clean(running.stdout(), "stdout")
        clean(running.stderr(), "stderr")
      }
    })
  )
})
