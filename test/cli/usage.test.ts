import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawnSync } from "node:child_process"
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { file, folder, llmperf } from "./invocation.ts"
import * as OpenAiServer from "./openAiServer.ts"

interface Case {
  readonly name: string
  readonly args: ReadonlyArray<string>
  readonly env?: { readonly [name: string]: string | undefined }
  /** What standard error must say. */
  readonly told: ReadonlyArray<RegExp>
}

/** Runs against a server that must not hear of it. */
const refused = Effect.fnUntraced(function* ({ args, env, told }: Omit<Case, "name">, exitCode = 2) {
  const server = yield* OpenAiServer.make()
  const set = { OPENAI_API_BASE: server.url, OPENAI_API_KEY: "key", ...env }
  const outcome = yield* llmperf(args, {
    env: Object.fromEntries(
      Object.entries(set).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]))
    )
  })
  assert.strictEqual(outcome.stdout, "")
  assert.strictEqual(outcome.unreported, "")
  for (const pattern of told) assert.match(outcome.stderr, pattern)
  assert.notMatch(outcome.stderr, /\n\s+at |\[object|undefined|Help requested/)
  assert.strictEqual(outcome.exitCode, exitCode)
  assert.strictEqual(server.connections(), 0)
})

/** A server on this computer is asked without a key. Nobody is at this address. */
const elsewhere = { OPENAI_API_BASE: "https://api.invalid/v1" }

const load = (...args: ReadonlyArray<string>) => ["load-test", "--model", "m", ...args]

const cases: ReadonlyArray<Case> = [
  { name: "an unknown command", args: ["lod-test"], told: [/lod-test/, /load-test/, /Try: llmperf --help/] },
  {
    name: "an unknown flag",
    args: load("--num-concurent-requests", "3"),
    told: [/--num-concurent-requests/, /Did you mean/, /--num-concurrent-requests/, /Try: llmperf load-test --help/]
  },
  { name: "a flag of another command", args: load("--port", "3"), told: [/--port/] },
  { name: "an unknown flag without a command", args: ["--modle", "x"], told: [/--modle/, /Try: llmperf --help/] },
  { name: "no model", args: ["load-test"], told: [/--model/, /Try: llmperf load-test --help/] },
  { name: "an empty model", args: ["load-test", "--model", ""], told: [/--model/] },
  { name: "a flag without its value", args: load("--seed"), told: [/--seed/, /value/] },
  {
    name: "a flag given twice",
    args: load("--seed", "1", "--seed", "2"),
    told: [/^--seed is given 2 times: give it once\.$/m]
  },
  {
    name: "something that is no flag",
    args: load("extra"),
    told: [/No flag takes: extra\. A value with spaces needs quotes/, /Try: llmperf load-test --help/]
  },
  {
    name: "a header without quotes",
    args: load("-H", "Authorization:", "Bearer", "sk-hidden1234"),
    told: [/No flag takes: … …\. A value with spaces needs quotes/]
  },
  {
    name: "an API beside a provider of one's own",
    args: load("--llm-api", "anthropic", "--provider", "own.ts"),
    told: [/--llm-api has no meaning for --provider/]
  },
  {
    name: "a bad number",
    args: load("--max-num-completed-requests", "1.5"),
    told: [/--max-num-completed-requests: "1\.5"/, /a whole number above 0/]
  },
  { name: "a bad duration", args: load("--timeout", "soon"), told: [/--timeout: "soon"/, /30s, 1m30s, 500ms/] },
  { name: "bad sampling parameters", args: load("--additional-sampling-params", "[1]"), told: [/a JSON object/] },
  { name: "bad metadata", args: load("--metadata", "gpu"), told: [/--metadata: "gpu"/, /key=value/] },
  {
    name: "metadata with the name of a result",
    args: load("--metadata", "results_ttft_s_mean=0"),
    told: [/--metadata/, /results_ttft_s_mean/]
  },
  { name: "a bad header", args: load("-H", "X-Team"), told: [/--header: "\*\*\*"/, /"X-Team: inference"/] },
  { name: "an unknown API", args: load("--llm-api", "mystery"), told: [/"mystery"/, /openai, azure, anthropic/] },
  { name: "an unknown endpoint", args: load("--endpoint", "v2"), told: [/"v2"/, /chat, completions, responses/] },
  {
    name: "a flag of another API",
    args: load("--payload-style", "tgi"),
    told: [/--payload-style has no meaning for --llm-api openai/]
  },
  {
    name: "an endpoint for an API that has but one",
    args: load("--llm-api", "anthropic", "--endpoint", "responses"),
    told: [/--endpoint has no meaning for --llm-api anthropic/]
  },
  {
    name: "a model that LiteLLM's prefixes do not tell where to ask",
    args: ["load-test", "--llm-api", "litellm", "--model", "meta-llama/Llama-2-7b-chat-hf"],
    told: [/LITELLM_API_BASE must be set/, /meta-llama\/Llama-2-7b-chat-hf/, /anthropic\/, azure\//, /xai\//]
  },
  {
    name: "no key of another API",
    args: load("--llm-api", "together"),
    told: [/TOGETHERAI_API_KEY must be set/]
  },
  { name: "an unknown prompt mode", args: load("--prompt-mode", "fast"), told: [/"fast"/, /exact, llmperf/] },
  { name: "an address that is none", args: load("--api-base", "localhost"), told: [/--api-base/, /http or https/] },
  {
    name: "no address",
    args: load(),
    env: { OPENAI_API_BASE: undefined },
    told: [/OPENAI_API_BASE/, /--api-base/]
  },
  {
    name: "an empty address in the environment",
    args: load(),
    env: { OPENAI_API_BASE: " " },
    told: [/OPENAI_API_BASE/]
  },
  {
    name: "an address in the environment that is none",
    args: load(),
    env: { OPENAI_API_BASE: "localhost:8000" },
    told: [/localhost:8000/, /http/]
  },
  {
    name: "an endpoint that the address contradicts",
    args: load("--api-base", "http://127.0.0.1:1/v1/completions", "--endpoint", "chat"),
    told: [/The API base ends in \/completions/, /leave out --endpoint/]
  },
  {
    name: "an endpoint that the address in the environment contradicts",
    args: load("--endpoint", "responses"),
    env: { OPENAI_API_BASE: undefined, OPENAI_BASE_URL: "http://127.0.0.1:1/v1/chat/completions" },
    told: [/The API base ends in \/chat\/completions/, /leave out --endpoint/]
  },
  { name: "no key", args: load(), env: { ...elsewhere, OPENAI_API_KEY: undefined }, told: [/OPENAI_API_KEY/] },
  { name: "an empty key", args: load(), env: { ...elsewhere, OPENAI_API_KEY: "" }, told: [/OPENAI_API_KEY/] },
  {
    name: "a mean input length below the smallest prompt",
    args: load("--mean-input-tokens", "20"),
    told: [/20/, /smallest possible value is \d+/]
  },
  {
    name: "more prompts than there can be different ones",
    args: load(
      "--same-prompts",
      "--mean-input-tokens=27",
      "--stddev-input-tokens=0",
      "--stddev-output-tokens=0",
      "--max-num-completed-requests=1000"
    ),
    told: [/27 input tokens/, /fewer requests/]
  },
  {
    name: "a tokenizer folder that is not there",
    args: load("--tokenizer", "/does/not/exist"),
    told: [/\/does\/not\/exist/, /there is no folder/]
  },
  {
    name: "a variable that holds nonsense",
    args: load(),
    env: { LLMPERF_SEED: "x" },
    told: [/--seed/, /LLMPERF_SEED/]
  },
  {
    name: "a config file that is not there",
    args: load("--config", "/does/not/exist.yaml"),
    told: [/\/does\/not\/exist\.yaml/, /cannot be read/]
  },
  { name: "a port that is none", args: ["serve", "--port", "65536"], told: [/--port: "65536"/, /0 to 65535/] },
  { name: "an unknown fault", args: ["serve", "--fault", "meteor"], told: [/--fault: "meteor"/, /error-vllm/] }
]

describe("wrong use", () => {
  it.live.each(cases)("is refused with exit code 2 and nothing on standard output: $name", (each) => refused(each))

  it.live.each([
    ["no YAML", "a: [", /not YAML/],
    ["no mapping", "- a\n- b", /flags as keys/],
    ["an unknown key", "num_concurent_requests: 3", /--num-concurrent-requests[\s\S]*run\.yaml/],
    ["a bad value", "seed: x", /--seed: "x"[\s\S]*run\.yaml/]
  ] as const)("is refused when it is in the config file: %s", ([, text, told]) =>
    Effect.gen(function* () {
      const path = yield* file("run.yaml", text)
      yield* refused({ args: load("--config", path), told: [/run\.yaml/, told] })
      yield* refused({ args: load(), env: { LLMPERF_CONFIG: path }, told: [/run\.yaml/, told] })
    })
  )

  it.live("is refused when the config file is a folder, a device or a pipe", () =>
    Effect.gen(function* () {
      const path = yield* folder
      yield* refused({ args: load("--config", path), told: [/cannot be read/] })
      yield* refused({ args: load("--config", "/dev/zero"), told: [/no regular file \(a device\)/] })
      assert.strictEqual(spawnSync("mkfifo", [join(path, "pipe")]).status, 0)
      yield* refused({ args: load("--config", join(path, "pipe")), told: [/no regular file \(a pipe\)/] })
      yield* refused({ args: load("--ca", "/dev/zero"), told: [/--ca: \/dev\/zero/, /a device/] })
    })
  )

  const bomb = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
  for (let n = 1; n < 10; n++) bomb.push(`a${n}: &a${n} [${Array.from({ length: 10 }, () => `*a${n - 1}`).join(", ")}]`)

  it.live.each([
    ["too large", `seed: 1\n# ${"x".repeat(1_000_000)}`, /too large: more than 1 MB/],
    ["full of aliases of aliases", bomb.join("\n"), /more than 100000 values/],
    ["nested too deep to be read", `a: ${"[".repeat(100_000)}${"]".repeat(100_000)}`, /nested too deep/],
    ["nested too deep", `a: ${"[".repeat(200)}${"]".repeat(200)}`, /more than 100 levels deep/]
  ] as const)("is refused when the config file is %s", ([, text, told]) =>
    Effect.gen(function* () {
      yield* refused({ args: load("--config", yield* file("run.yaml", text)), told: [/run\.yaml/, told] })
    })
  )

  it.live.each([
    ["--num-concurrent-requests", "1e9", /at most 1000000\b/],
    ["--max-in-flight", "1e9", /at most 1000000\b/],
    ["--max-num-completed-requests", "1e12", /at most 1000000000\b/],
    ["--mean-input-tokens", "1e9", /at most 10000000\b/],
    ["--stddev-input-tokens", "1e300", /at most 10000000\b/],
    ["--mean-output-tokens", "1e12", /at most 10000000\b/],
    ["--warmup-requests", "1e9", /at most 100000\b/],
    ["--workers", "1e6", /at most 1024\b/],
    ["--burst-size", "1e9", /at most 1000000\b/],
    ["--request-rate", "1e-300", /from 0\.000001 to 1000000\b/],
    ["--timeout", "9".repeat(400), /at most 31 years/],
    ["--additional-sampling-params", `{"a": ${"[".repeat(40_000)}${"]".repeat(40_000)}}`, /at most 100 levels deep/]
  ] as const)("is refused when a number is out of all measure: %s", ([flag, value, told]) =>
    refused({ args: load(`${flag}=${value}`), told: [new RegExp(flag), told] })
  )

  const schedules = {
    good: "scheduled_offset_s,input_tokens,output_tokens\n0,60,9\n",
    negative: "scheduled_offset_s,input_tokens,output_tokens\n0,60,9\n-1,60,9\n"
  }

  it.live.each([
    ["a schedule with a bad row", "negative", [], /line 3, scheduled_offset_s: got "-1", expected .*0 or more/],
    ["a schedule whose prompts become too short", "good", ["--scale-input=0.1"], /Row 1: .*smallest possible value/],
    ["a schedule and a rate", "good", ["--request-rate=5"], /not both/],
    [
      "a flag of the closed loop with a rate",
      null,
      ["--request-rate=5", "--num-concurrent-requests=3"],
      /--max-in-flight/
    ],
    ["a flag of a schedule without one", null, ["--speed=2"], /--speed: only with --schedule-file/],
    [
      "metadata with the name of a result of a schedule",
      "good",
      ["--metadata=ttft_s_mean=0"],
      /--metadata.*ttft_s_mean/
    ]
  ] as const)("is refused, with nothing sent and no folder made: %s", ([, text, args, told]) =>
    Effect.gen(function* () {
      const root = yield* folder
      const schedule = text === null ? [] : [`--schedule-file=${yield* file("s.csv", schedules[text])}`]
      yield* refused({ args: load(...schedule, ...args, `--results-dir=${join(root, "results")}`), told: [told] })
      assert.deepStrictEqual(readdirSync(root), [])
    })
  )

  it.live("is refused before a results folder is made", () =>
    Effect.gen(function* () {
      const root = yield* folder
      const results = join(root, "results")
      yield* refused({
        args: load("--results-dir", results),
        env: { ...elsewhere, OPENAI_API_KEY: undefined },
        told: [/OPENAI_API_KEY/]
      })
      assert.deepStrictEqual(readdirSync(root), [])
    })
  )
})

describe("llmperf serve", () => {
  it.live("ends with exit code 2 when its port is taken", () =>
    Effect.gen(function* () {
      const { url } = yield* OpenAiServer.make()
      const port = new URL(url).port
      const outcome = yield* llmperf(["serve", "--port", port])
      assert.strictEqual(outcome.exitCode, 2)
      assert.strictEqual(outcome.stdout, "")
      assert.strictEqual(outcome.unreported, "")
      assert.match(outcome.stderr, new RegExp(`${port}.*in use`, "i"))
    })
  )
})

describe("a results folder that cannot be used", () => {
  it.live("ends with exit code 3 before anything is sent", () =>
    Effect.gen(function* () {
      const root = yield* folder
      const results = join(root, "results")
      writeFileSync(results, "mine")
      yield* refused({ args: load("--results-dir", results), told: [/Cannot write results/, /--results-dir/] }, 3)
      yield* refused({ args: load("--results-dir", join(results, "deeper")), told: [/Cannot write results/] }, 3)
      assert.strictEqual(readFileSync(results, "utf8"), "mine")
    })
  )

  it.live("is not there either when a folder has the name of a file", () =>
    Effect.gen(function* () {
      const root = yield* folder
      mkdirSync(join(root, "records.ndjson"))
      // It is moved away like the records of an earlier run.
      const small = ["--max-num-completed-requests=1", "--mean-output-tokens=5", "--stddev-output-tokens=0"]
      const outcome = yield* llmperf(
        load("--results-dir", root, "--llm-api=simulated", "--no-warmup", "--quiet", ...small)
      )
      assert.strictEqual(outcome.exitCode, 0)
      assert.isTrue(readFileSync(join(root, "records.ndjson"), "utf8").endsWith("}\n"))
    })
  )
})
