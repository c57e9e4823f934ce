import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import * as TokenizerCheck from "../../src/output/TokenizerCheck.ts"
import { file, folder, llmperf } from "./invocation.ts"
import { type Fields, json, rowsIn } from "./processes.ts"

const small = [
  "load-test",
  "--model=org/demo",
  "--mean-input-tokens=60",
  "--stddev-input-tokens=0",
  "--mean-output-tokens=21",
  "--stddev-output-tokens=0",
  "--no-warmup"
]

const results = Effect.fnUntraced(function* (
  args: ReadonlyArray<string>,
  env: { readonly [name: string]: string } = {}
) {
  const into = yield* folder
  const outcome = yield* llmperf([...small, ...args, `--results-dir=${into}`, "--json"], { env })
  assert.strictEqual(outcome.exitCode, 0, outcome.stderr)
  return { summary: json(outcome.stdout), rows: rowsIn(join(into, "records.ndjson")), shown: outcome.stderr, into }
})

const simulated = ["--llm-api=simulated", "--sim-ttft=20ms", "--sim-itl=15ms", "--max-num-completed-requests=4"]

const distinct = (rows: ReadonlyArray<Fields>, key: string): ReadonlyArray<unknown> => [
  ...new Set(rows.map((row) => row[key]))
]

/** The time per token as the row itself has it; where the machine is busy, all may have come at once. */
const perToken = (row: Fields, tokens: number): number | null =>
  tokens > 0 ? Number(row["sum_inter_token_latency_s"]) / tokens : null

interface Asked {
  readonly body: Fields
  readonly ordinal: number
  readonly request: IncomingMessage
}

/** Answers by `respond` until the scope closes. */
const server = (respond: (asked: Asked, response: ServerResponse) => void) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly url: string; readonly close: () => void }>((resume) => {
      let ordinal = 0
      const made = createServer((request, response) => {
        const parts: Array<Buffer> = []
        request.on("data", (part: Buffer) => parts.push(part))
        request.on("end", () =>
          respond({ body: json(Buffer.concat(parts).toString("utf8")), ordinal: ++ordinal, request }, response)
        )
      })
      made.listen(0, "127.0.0.1", () => {
        const address = made.address()
        const port = typeof address === "object" && address !== null ? address.port : 0
        resume(
          Effect.succeed({
            url: `http://127.0.0.1:${port}/v1`,
            close: () => {
              made.closeAllConnections()
              made.close()
            }
          })
        )
      })
    }),
    ({ close }) => Effect.sync(close)
  )

const stream = (response: ServerResponse, events: ReadonlyArray<object>): void => {
  response.setHeader("content-type", "text/event-stream")
  response.end([...events.map((event) => JSON.stringify(event)), "[DONE]"].map((data) => `data: ${data}\n\n`).join(""))
}

const text = (content: string) => ({ choices: [{ index: 0, delta: { content } }] })
const ending = (reason = "stop") => ({ choices: [{ index: 0, delta: {}, finish_reason: reason }] })
const usage = (completion_tokens: number, more: object = {}) => ({
  choices: [],
  usage: { prompt_tokens: 75, completion_tokens, ...more }
})

const module = (path: string): string =>
  JSON.stringify(pathToFileURL(join(import.meta.dirname, "..", "..", "src", path)).href)

/** An API of whose answers every third has no usage. */
const uneven = `
import * as Effect from ${JSON.stringify(import.meta.resolve("effect/Effect"))}
import * as Layer from ${JSON.stringify(import.meta.resolve("effect/Layer"))}
import * as Stream from ${JSON.stringify(import.meta.resolve("effect/Stream"))}
import { Provider } from ${module("provider/Provider.ts")}
const now = () => Number(process.hrtime.bigint())
const usage = (at) => ({ _tag: "Usage", at, inputTokens: 75, outputTokens: 7, cachedInputTokens: null, reasoningTokens: null })
const answer = ({ id }) =>
  Effect.map(Effect.sleep((id * 7) % 20), () => {
    const at = now()
    const content = { _tag: "Content", kind: "text", at: [at], text: ["word"] }
    return [content, ...(id % 3 === 0 ? [] : [usage(at)]), { _tag: "Ended", at }]
  })
const stream = (plan) =>
  Stream.concat(
    Stream.sync(() => ({ _tag: "Sent", at: now(), connection: null })),
    Stream.unwrap(Effect.map(answer(plan), Stream.fromIterable))
  )
export const layer = Layer.succeed(Provider, { name: "uneven", origin: null, stream })
`

// Most of the time of a run goes into starting its threads, so they run side by side.
describe.concurrent("whose tokens", { timeout: 90_000 }, () => {
  it.live("are the server's, with what came first left out where it tells", () =>
    Effect.gen(function* () {
      const chunked = [...simulated, "--sim-tokens-per-chunk=4"]
      const told = yield* results([...chunked, "--usage-per-chunk"])
      assert.deepInclude(told.summary, {
        count_tokens: "auto",
        results_token_source: "server",
        results_total_output_tokens: 84,
        results_mean_tokens_per_chunk: 3.5
      })
      for (const row of told.rows) {
        assert.deepInclude(row, { token_source: "server", number_output_tokens: 21, usage_output_tokens: 21 })
        // Four of the first chunk, and those of the next ones that were read with it
        const first = Number(row["first_chunk_tokens"])
        assert.include([4, 8, 12, 16, 20, 21], first)
        assert.strictEqual(row["inter_token_latency_s"], perToken(row, 21 - first))
      }
      const untold = yield* results([...chunked, "--report"])
      const report = readFileSync(join(untold.into, "org-demo_60_21_report.html"), "utf8")
      assert.include(report, "84 tokens in all, counted by the server")
      const analyzed = yield* llmperf(["analyze", untold.into, "--json"])
      assert.strictEqual(json(analyzed.stdout)["results_token_source"], "server")
      const recovered = yield* llmperf(["recover", untold.into, "--force", "--json"])
      assert.deepInclude(json(recovered.stdout), {
        results_token_source: "server",
        results_total_output_tokens: 84,
        count_tokens: "auto"
      })
      for (const row of untold.rows) {
        // The tokenizer agrees with the server, so its count of what came first is taken
        assert.deepInclude(row, { token_source: "server", number_output_tokens: 21 })
        const first = Number(row["first_chunk_tokens"])
        assert.include([4, 8, 12, 16, 20, 21], first)
        assert.strictEqual(row["inter_token_latency_s"], perToken(row, 21 - first))
      }
      assert.match(untold.shown, /^tokens +240 in, 84 out, output counted by the server$/m)
      assert.include(untold.shown, "chunks carry 3.50 tokens on average")
    })
  )

  it.live("are the tokenizer's when it is asked for, with LLMPerf's prompts, or where there is no usage", () =>
    Effect.gen(function* () {
      for (const args of [
        ["--prompt-mode=llmperf"],
        ["--count-tokens=tokenizer"],
        ["--sim-fault=no-usage", "--workers=2"]
      ]) {
        const { rows, summary } = yield* results([...simulated, "--sim-tokens-per-chunk=4", ...args])
        assert.strictEqual(summary["results_token_source"], "tokenizer", args.join(" "))
        for (const row of rows) {
          const tokens = Number(row["tokenizer_output_tokens"])
          const first = Number(row["first_chunk_tokens"])
          assert.isAtLeast(first, 1)
          assert.strictEqual(row["number_output_tokens"], tokens)
          assert.strictEqual(row["inter_token_latency_s"], perToken(row, tokens - first))
        }
      }
    })
  )

  it.live("are of one kind over several threads, whatever the answers are", () =>
    Effect.gen(function* () {
      const provider = yield* file("uneven.mjs", uneven)
      const load = [`--provider=${provider}`, "--num-concurrent-requests=6", "--max-num-completed-requests=60"]
      const auto = yield* results([...load, "--workers=3"])
      const [source, ...others] = distinct(auto.rows, "token_source")
      assert.deepStrictEqual(others, [])
      assert.lengthOf(auto.rows, 60)
      assert.strictEqual(auto.summary["results_token_source"], source)
      for (const row of auto.rows) {
        const expected = source === "tokenizer" ? row["tokenizer_output_tokens"] : row["usage_output_tokens"]
        assert.strictEqual(row["number_output_tokens"], expected)
      }
      assert.strictEqual(auto.summary["results_num_uncounted_requests"], source === "tokenizer" ? 0 : 20)
      const asked = yield* results([...load, "--count-tokens=server"])
      assert.deepInclude(asked.summary, { results_num_uncounted_requests: 20, results_total_output_tokens: null })
      assert.include(asked.shown, "20 of 60 answers had no usage")
    })
  )

  it.live("leave out hidden reasoning, show refusals and filters, and tell a tokenizer that is far off", () =>
    Effect.gen(function* () {
      const { url } = yield* server(({ ordinal }, response) =>
        stream(response, [
          ...(ordinal === 2 ? [{ choices: [{ index: 0, delta: { refusal: "No" } }] }] : [text("a"), text(" b")]),
          ending(ordinal === 3 ? "content_filter" : "stop"),
          usage(102, { prompt_tokens: 900, completion_tokens_details: { reasoning_tokens: 100 } })
        ])
      )
      const env = { OPENAI_API_BASE: url, OPENAI_API_KEY: "none" }
      const args = ["--num-concurrent-requests=1", "--max-num-completed-requests=4"]
      const { rows, shown, summary } = yield* results(args, env)
      assert.deepInclude(rows[0], { number_output_tokens: 2, hidden_reasoning_tokens: 100, usage_output_tokens: 102 })
      assert.deepInclude(summary, {
        results_total_output_tokens: 8,
        results_total_hidden_reasoning_tokens: 400,
        results_finish_reason_frequency: { stop: 2, content_filter: 1, refusal: 1 }
      })
      assert.include(shown, "2 of 4 answers ended in a refusal or a filter (1 × content_filter, 1 × refusal)")
      assert.include(shown, "400 tokens of reasoning were generated and never streamed")
      const checks = JSON.stringify(summary["verdict_reasons"])
      assert.include(checks, "prompt_mismatch")
      assert.notInclude(checks, "token_mismatch_of_output")
      assert.include(shown, "the server read another prompt")
    }).pipe(Effect.scoped)
  )

  it.live("are compared by probe, where the server has /tokenize", () =>
    Effect.gen(function* () {
      const asked: Array<Fields> = []
      const { url } = yield* server(({ body, request }, response) => {
        if (request.url !== "/tokenize") return stream(response, [text("a"), ending(), usage(1)])
        asked.push(body)
        response.end(JSON.stringify({ count: 50, tokens: [], max_model_len: 1 }))
      })
      const probe = (...args: ReadonlyArray<string>) =>
        llmperf(["probe", "--model=m", `--api-base=${url}`, ...args], { env: { OPENAI_API_KEY: "none" } })
      const told = yield* probe()
      assert.strictEqual(told.exitCode, 0, told.stderr)
      assert.match(told.stdout, /^ {2}English +50 +50 +±0\.0 %$/m)
      assert.match(told.stdout, /^ {2}Chinese +54 +50 +\+8\.0 %$/m)
      assert.deepStrictEqual(
        asked.map(({ prompt }) => prompt),
        TokenizerCheck.texts.map(({ text }) => text)
      )
      const document = json((yield* probe("--json")).stdout)
      assert.deepInclude(document["tokenizer"], { name: "llama" })
      const wrong = yield* probe("--tokenizer=./no/such/folder")
      assert.strictEqual(wrong.exitCode, 2)
      assert.lengthOf(asked, 2 * TokenizerCheck.texts.length)
    }).pipe(Effect.scoped)
  )

  it.live("refuses what has no meaning before anything is sent", () =>
    Effect.gen(function* () {
      const env = { OPENAI_API_BASE: "http://127.0.0.1:9/v1", OPENAI_API_KEY: "none", ANTHROPIC_API_KEY: "none" }
      for (const [args, words] of [
        [["--count-tokens=client"], "--count-tokens"],
        [["--usage-per-chunk", "--endpoint=responses"], "--usage-per-chunk"],
        [["--usage-per-chunk", "--llm-api=anthropic"], "--usage-per-chunk has no meaning for --llm-api anthropic"]
      ] as const) {
        const outcome = yield* llmperf([...small, ...args], { env })
        assert.strictEqual(outcome.exitCode, 2)
        assert.include(outcome.stderr, words)
      }
    })
  )
})
