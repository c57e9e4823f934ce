import { assert, describe, it } from "@effect/vitest"
import * as CliOutput from "effect/cli/CliOutput"
import { type RequestRecord } from "../../src/domain/RequestRecord.ts"
import * as Verdict from "../../src/metrics/Verdict.ts"
import * as Console from "../../src/output/Console.ts"
import { evidence } from "../metrics/health.ts"
import { failure, outcome, record } from "../metrics/records.ts"
import { SummarySink } from "../../src/metrics/SummarySink.ts"
import { outcomes, summaryOf } from "./results.ts"

const title = "Results for token benchmark for a model queried with the openai api."
const plain = { columns: 120, color: false }
const demo = summaryOf(outcomes, 5)
const refused = failure("connect_error", "Connect", "Could not connect: refused")
const limited = failure(429, "RateLimited", "HTTP 429: slow\n  down \u001B[31mnow\u0007")

const cellsOf = (text: string, label: string): ReadonlyArray<string> => {
  const line = text.split("\n").find((each) => each.startsWith(label)) ?? assert.fail(`no line "${label}" in\n${text}`)
  return line.slice(label.length).trim().split(/\s+/)
}

// eslint-disable-next-line no-control-regex
const stripColors = (text: string): string => text.replaceAll(/\u001B\[\d+m/g, "")

const columnsOf = (text: string): ReadonlyArray<string> =>
  text
    .split("\n")
    .find((line) => /^ +.*p50/.test(line))
    ?.trim()
    .split(/\s+/) ?? []

describe("Console", () => {
  it("shows every column and the units when there is room", () => {
    const text = Console.render({ title, summary: demo }, plain)
    assert.deepStrictEqual(columnsOf(text), ["p25", "p50", "p75", "p90", "p95", "p99", "mean", "min", "max", "stddev"])
    assert.deepStrictEqual(cellsOf(text, "TTFT (ms)"), [
      "199.2",
      "242.2",
      "285.2",
      "310.9",
      "319.5",
      "326.4",
      "242.2",
      "156.3",
      "328.1",
      "56.3"
    ])
    assert.deepStrictEqual(cellsOf(text, "output tokens").slice(6, 9), ["36.5", "20.0", "53.0"])
    for (const label of [
      "inter-token latency, TPOT (ms)",
      "end-to-end latency (ms)",
      "request throughput (tok/s)",
      "input tokens",
      "inter-chunk latency (ms)",
      "dispatch lag (ms)",
      "scheduled TTFT (ms)"
    ]) {
      assert.lengthOf(cellsOf(text, label), 10)
    }
  })

  it("shows the totals", () => {
    const text = Console.render({ title, summary: demo }, { columns: 200, color: false })
    assert.match(text, /^requests +12 ok, 3 failed, 1 cancelled$/m)
    assert.match(text, /^completed requests +2\.40 requests\/s, 144\.0 per minute$/m)
    assert.match(text, /^total throughput +1421 tok\/s, input and output$/m)
    assert.match(text, /^output throughput +87\.6 tok\/s over 5\.0 s of wall time$/m)
    assert.match(text, /^ +109\.5 tok\/s over 4\.0 s with requests in flight$/m)
    assert.match(text, /^p99 incl\. failures +TTFT ∞, end-to-end ∞$/m)
    assert.match(text, /^Not completed: 4 of 16 requests \(25\.0 %\)$/m)
    assert.match(text, /^ {2}2 × HTTP 429: slow down$/m)
    assert.match(text, /^ {2}1 × Could not connect: "refused" é$/m)
    assert.match(text, /Little's law: 2\.31 requests .* is 1\.91 \(-17\.3 %\)/)
    assert.match(text, /Output tokens: .* disagree on 4 of 12 requests, by 1\.1 % on average/)
    assert.match(text, /^tokens +6666 in \(\d+ by the server\), 438 out, output counted by the tokenizer$/m)
  })

  it("says in words what a server answered in JSON", () => {
    const said = (body: string) => {
      const summary = summaryOf([outcome(failure(422, "HttpStatus", `HTTP 422: ${body}`))], 1)
      const text = Console.render({ title, summary }, plain)
      assert.notMatch(text, /[{}]|"/)
      assert.notMatch(Console.allFailed(summary) ?? "{", /[{}]|"/)
      return text
    }
    const detail = said('{"detail":[{"loc":["body","max_tokens"],"msg":"too many"}]}')
    assert.include(detail, "1 × HTTP 422: detail (loc (body, max_tokens), msg too many)")
    assert.include(said('["a", null, {"b": {}}]'), "HTTP 422: a, none, b (none)")
    assert.include(said("no [JSON] at all"), "HTTP 422: no [JSON] at all")
  })

  it("wraps the reason of a failure, to three lines at most", () => {
    const told = (message: string) => {
      const summary = summaryOf([outcome(failure(401, "HttpStatus", message))], 1)
      const lines = Console.render({ title, summary }, { columns: 60, color: false }).split("\n")
      const from = lines.findIndex((line) => line.includes("1 × HTTP 401: "))
      return lines.slice(from, from + 4).filter((line) => line.startsWith("  "))
    }
    assert.deepStrictEqual(
      told("HTTP 401: Incorrect API key provided: you can find yours at the page of your account"),
      ["  1 × HTTP 401: Incorrect API key provided: you can find", "      yours at the page of your account"]
    )
    const long = told(`HTTP 401: ${"word ".repeat(100)}`)
    assert.lengthOf(long, 3)
    assert.isTrue(long[2]?.endsWith("…"))
  })

  it("shows where a provider threw its exception, whole and without the frames of others", () => {
    const place = `at stream (/home/somebody/${"deep/".repeat(20)}provider.ts:12:3)`
    const message = [
      "Internal error: TypeError: nothing.there is not a function",
      "    at process.processTicks (node:internal/process/task_queues:105:5)",
      `    ${place}`,
      "    at run (/home/somebody/node_modules/effect/dist/Effect.js:1:1)"
    ].join("\n")
    const summary = summaryOf([outcome(failure("internal_error", "Internal", message))], 1)
    const text = Console.render({ title, summary }, plain)
    assert.include(text, `  1 × Internal error: TypeError: nothing.there is not a function\n      ${place}\n`)
    assert.notInclude(text, "processTicks")
    assert.notInclude(text, "node_modules")
    assert.notInclude(Console.allFailed(summary), " at ")
  })

  it("says that many answers had no content, and not that few had none", () => {
    const empty = record({ ttft_s: null, number_chunks: 0, number_output_tokens: 0, tokenizer_output_tokens: 0 })
    const text = (count: number) =>
      Console.render(
        {
          title,
          summary: summaryOf(
            Array.from({ length: 200 }, (_, i) => outcome(i < count ? empty : record())),
            2
          )
        },
        { columns: 400, color: false }
      )
    assert.include(text(37), "! 37 of 200 answers (18.5 %) had no content: they have no TTFT")
    assert.notInclude(text(2), "no content")
    const inOnePiece = record({ ttft_s: null, number_chunks: 0 })
    const summary = summaryOf([outcome(inOnePiece)], 1)
    assert.strictEqual(summary.num_requests_without_content, 0)
  })

  it("says that requests were written again", () => {
    const rows = [outcome(record()), outcome(record({ connection_retry_s: 0.001 }))]
    const text = Console.render({ title, summary: summaryOf(rows, 2) }, { columns: 200, color: false })
    assert.match(text, /1 request was written again on a new connection/)
  })

  it("says nothing of what is in order", () => {
    const text = Console.render(
      { title, summary: summaryOf([outcome(record()), outcome(record({ sent_offset_s: 1, end_offset_s: 2 }))], 2) },
      plain
    )
    assert.notInclude(text, "Little")
    assert.notInclude(text, "disagree")
    assert.notInclude(text, "written again")
    assert.notInclude(text, "chunk is not")
    assert.notInclude(text, "Not completed")
    assert.notInclude(text, "incl. failures")
  })

  it("shows how much of the prompts was cached, and what is to be said of it beside the verdict", () => {
    const cached = outcome(record({ usage_input_tokens: 400, usage_cached_input_tokens: 100 }))
    const summary = summaryOf([cached, cached], 2)
    const render = (isWarning: boolean) =>
      Console.render({ title, summary, cache: { text: "25.0 % were cached", isWarning } }, plain)
    assert.match(render(true), /^cached input +25\.0 % \(200 of the server's 800 input tokens\)$/m)
    assert.match(render(true), /^! 25\.0 % were cached$/m)
    assert.match(render(false), /^- 25\.0 % were cached$/m)
    assert.notInclude(Console.render({ title, summary: demo, cache: null }, plain), "cached")
  })

  it("shows how an open loop kept to its times, and only of one", () => {
    const sink = new SummarySink()
    for (const [index, lag] of [0, 0.01, 0.02, 0.5].entries()) {
      sink.add(outcome(record({ dispatch_lag_s: lag, sampled: index > 0 })))
    }
    const openLoop = { queued: 3, dropped: 2 }
    const text = Console.render({ title, summary: sink.summary({ wallSeconds: 2, unsent: 7, openLoop }) }, plain)
    // What was dropped is not said to be unsent again.
    assert.match(text, /^dispatch +2 late \(over 10 ms\), 3 queued, 2 dropped, 5 unsent$/m)
    assert.match(text, /^measured +3 of 4 requests$/m)
    const closed = Console.render({ title, summary: sink.summary({ wallSeconds: 2, unsent: 7 }) }, plain)
    assert.notMatch(closed, /^dispatch +\d+ late/m)
    assert.notInclude(closed, "measured")
    const all = summaryOf([outcome(record())], 2)
    const whole = Console.render({ title, summary: { ...all, num_late_requests: 0 } }, plain)
    assert.match(whole, /^dispatch +0 late/m)
    assert.notInclude(whole, "measured")
  })

  it("shows no empty table when nothing was measured", () => {
    const sink = new SummarySink()
    sink.add(outcome(record({ sampled: false })))
    const summary = sink.summary({ wallSeconds: 2, openLoop: { queued: 0, dropped: 0 } })
    const text = Console.render({ title, summary }, plain)
    assert.notInclude(text, "p50")
    assert.match(text, /^requests +1 ok, 0 failed$/m)
    assert.match(text, /^measured +0 of 1 requests$/m)
  })

  it("leaves columns out on a narrow terminal, and no line is too wide on any", () => {
    const summary = summaryOf([...outcomes, outcome(limited), outcome(record({ end_to_end_latency_s: 1e5 }))], 50)
    for (let columns = 40; columns <= 170; columns++) {
      const text = Console.render(
        { title, summary, remarks: ["Interrupted: partial results."] },
        { columns, color: true }
      )
      for (const line of text.split("\n")) {
        assert.isAtMost(CliOutput.displayWidth(line), columns, line)
      }
      assert.includeMembers([...columnsOf(stripColors(text))], ["p50", "p99"])
    }
    const narrow = columnsOf(Console.render({ title, summary }, { columns: 60, color: false }))
    const wide = columnsOf(Console.render({ title, summary }, { columns: 100, color: false }))
    assert.isBelow(narrow.length, wide.length)
  })

  it("begins with the failure when everything failed, and counts the reasons", () => {
    const all = [...Array.from({ length: 12 }, () => outcome(limited)), outcome(refused), outcome(refused)]
    const text = Console.render({ title, summary: summaryOf(all, 5) }, plain)
    assert.strictEqual(text.split("\n")[0], "All 14 requests failed: 12 × HTTP 429, 2 × Could not connect.")
    assert.notInclude(text, "p50")
    assert.include(text, "12 × HTTP 429: slow down [31mnow")
    const one = Console.render({ title, summary: summaryOf([outcome(refused)], 5) }, plain)
    assert.strictEqual(one.split("\n")[0], "The only request failed: 1 × Could not connect.")
    const stopped = failure("cancelled", "Cancelled", "stopped")
    const none = Console.render({ title, summary: summaryOf([outcome(stopped), outcome(stopped)], 5) }, plain)
    assert.strictEqual(none.split("\n")[0], "All 2 requests were cancelled.")
    assert.strictEqual(
      Console.render({ title, summary: summaryOf([], 0) }, plain).split("\n")[0],
      "No request was sent."
    )
  })

  it("lists ten kinds of failure and says how many more there are", () => {
    const kinds = Array.from({ length: 14 }, (_, i) => outcome(failure(400 + i, "HttpStatus", `message ${i}`)))
    const text = Console.render({ title, summary: summaryOf(kinds, 5) }, plain)
    assert.lengthOf(text.match(/1 × HTTP \d+:/g) ?? [], 10)
    assert.include(text, "and 4 more kinds")
  })

  it("colours only when asked, and nothing but colours differs", () => {
    const report = { title, summary: demo, remarks: ["Interrupted."], files: ["/tmp/a.json"] }
    const without = Console.render(report, plain)
    const colored = Console.render(report, { ...plain, color: true })
    assert.notInclude(without, "\u001B")
    assert.include(colored, "\u001B[")
    assert.strictEqual(stripColors(colored), without)
  })

  it("shows what a server says without letting it control the terminal", () => {
    const text = Console.render({ title, summary: summaryOf([outcome(limited)], 5) }, plain)
    // eslint-disable-next-line no-control-regex
    assert.notMatch(text.replaceAll("\n", ""), /[\u0000-\u001F\u007F-\u009F]/)
  })

  const wide = { columns: 400, color: false }
  const shown = (...all: ReadonlyArray<Partial<RequestRecord>>) =>
    Console.render(
      {
        title,
        summary: summaryOf(
          all.map((each) => outcome(record(each))),
          10
        )
      },
      wide
    )

  it("says whose counts they are, and how many answers have none", () => {
    const byServer = { token_source: "server", number_output_tokens: 10, usage_output_tokens: 10 } as const
    assert.match(shown(byServer), /^tokens +50 in, 10 out, output counted by the server$/m)
    assert.notInclude(shown(byServer), "unknown")
    const text = shown(byServer, { token_source: "server", number_output_tokens: null }, byServer)
    assert.match(
      text,
      /^! 1 of 3 answers had no usage: their tokens are unknown, .* those of the other 2\. --count-tokens tokenizer counts every answer\.$/m
    )
    assert.match(text, /^output throughput +unknown: 1 of 3 answers had no usage$/m)
    assert.match(text, /^total throughput +unknown: 1 of 3 answers had no usage$/m)
    assert.match(text, /^tokens +150 in, output unknown$/m)
    assert.match(
      shown({ number_output_tokens: null }, {}),
      /^! 1 of 2 answers could not be counted: .* the other 1\.$/m
    )
  })

  it("adds up input and output by one count", () => {
    const byServer = { token_source: "server", number_output_tokens: 10, usage_output_tokens: 10 } as const
    const both = { ...byServer, usage_input_tokens: 75 }
    const text = shown(both, both)
    assert.match(text, /^tokens +100 in \(150 by the server\), 20 out, output counted by the server$/m)
    assert.match(text, /^total throughput +17\.0 tok\/s, input and output by the server$/m)
    // The server counts the answers and not all prompts: the tokenizer has counted both
    const some = shown(both, { ...byServer, tokenizer_output_tokens: 30 })
    assert.match(some, /^tokens +100 in, 20 out, output counted by the server$/m)
    assert.match(some, /^total throughput +14\.0 tok\/s, input and output by the tokenizer$/m)
    const neither = shown(both, { ...byServer, tokenizer_output_tokens: null })
    assert.match(neither, /^total throughput +unknown: the server did not count the prompts/m)
  })

  it("says by how much the time per token may be too low", () => {
    assert.match(
      shown({ token_source: "server", first_chunk_share: 0.0625 }, {}),
      /^! Inter-token latency may be up to 6\.3 % too low: the first chunk of 1 answer may hold several .* --usage-per-chunk/m
    )
    assert.notInclude(shown({ token_source: "server", first_chunk_share: 0.005 }), "too low")
  })

  it("takes a few more input tokens per prompt for a chat template", () => {
    assert.match(
      shown({ usage_input_tokens: 73 }, { usage_input_tokens: 75 }),
      /^- The server counts 24\.0 more input tokens per prompt than the tokenizer, about what a chat template adds\.$/m
    )
    assert.match(shown({ number_input_tokens: 573, usage_input_tokens: 37 }), /^- Input tokens: .* disagree on 1 of 1/m)
    assert.notMatch(shown({ usage_input_tokens: 50 }), /chat template|Input tokens/)
  })

  it("warns where the tokenizer counts and is far off, and notes where the server counts", () => {
    const off = { tokenizer_output_tokens: 12, usage_output_tokens: 10, usage_input_tokens: 500 }
    assert.match(shown(off), /^! Output tokens: .* by 20\.0 % on average over all \(12 against 10 in all\)\.$/m)
    const byServer = shown({ ...off, token_source: "server" })
    assert.match(byServer, /^- Output tokens: .* \(12 against 10 in all\)\.$/m)
    assert.match(byServer, /^- Input tokens: .* by 90\.0 % on average over all \(50 against 500 in all\)\.$/m)
  })

  it("shows answers that a refusal or a filter ended, and reasoning that was never streamed", () => {
    const text = shown(
      { finish_reason: "stop", hidden_reasoning_tokens: 250 },
      { finish_reason: "content_filter" },
      { finish_reason: "SAFETY" },
      { finish_reason: "content_filter" },
      { finish_reason: "length" }
    )
    assert.match(
      text,
      /^! 3 of 5 answers ended in a refusal or a filter \(2 × content_filter, 1 × SAFETY\): they are shorter than what was asked for\.$/m
    )
    assert.match(
      text,
      /^- 250 tokens of reasoning were generated and never streamed: they are in no count and no rate above\.$/m
    )
    assert.notMatch(shown({ finish_reason: "stop" }, { finish_reason: "tool_calls" }), /refusal|never streamed/)
  })

  it("keeps paths whole and ends with a newline", () => {
    const path = `/tmp/${"long/".repeat(30)}summary.json`
    const text = Console.render({ title, summary: demo, files: [path] }, { columns: 40, color: false })
    assert.isTrue(text.endsWith(`Files\n  ${path}\n`))
  })

  it("says what to try when no request succeeded, and nothing of the kind otherwise", () => {
    const unauthorized = failure(401, "HttpStatus", "HTTP 401: who are you")
    const nobody = failure("connect_error", "Connect", "Could not connect: connect ECONNREFUSED 127.0.0.1:9")
    const all = Console.render({ title, summary: summaryOf([outcome(unauthorized), outcome(nobody)], 1) }, plain)
    assert.include(all, "The server does not accept the credentials")
    assert.include(all, "Nothing listens at this address")
    assert.include(all, "llmperf probe with the same flags")
    assert.notInclude(all, "tok/s")
    const some = Console.render({ title, summary: summaryOf([outcome(unauthorized), outcome(record())], 1) }, plain)
    assert.notInclude(some, "credentials")
    assert.notInclude(some, "llmperf probe")
  })

  describe("advice", () => {
    const advice = (rows: ReadonlyArray<ReturnType<typeof failure>>, asked: Partial<Console.Asked> = {}) =>
      Console.render(
        {
          title,
          summary: summaryOf(
            rows.map((row) => outcome(row)),
            1
          ),
          asked: { url: null, unsetKey: null, ...asked }
        },
        { columns: 1_000, color: false }
      )
    const limited = { ...failure(429, "RateLimited", "HTTP 429: 60 per minute"), retry_after_s: 20 }

    it("names the address", () => {
      const url = "http://127.0.0.1:4000/v1/chat/completions"
      const missing = failure(404, "HttpStatus", "HTTP 404")
      assert.include(advice([missing], { url }), `There is no such path or model at ${url}: compare`)
      assert.include(advice([missing]), "There is no such path or model: compare")
      const nobody = failure("connect_error", "Connect", "Could not connect: connect ECONNREFUSED 127.0.0.1:9")
      assert.include(advice([nobody], { url }), `Nothing listens at ${url}`)
    })

    it("says that no key was sent", () => {
      const rejected = failure(401, "HttpStatus", "HTTP 401")
      const text = advice([rejected], { unsetKey: "OPENAI_API_KEY" })
      assert.include(text, "No key was sent: OPENAI_API_KEY is not set")
      assert.include(text, "with -H")
      assert.include(advice([rejected]), "does not accept the credentials")
    })

    it("repeats what the server says", () => {
      const text = advice([failure(400, "HttpStatus", "HTTP 400: No connected db.")])
      assert.include(text, "The server rejected the request (No connected db.): compare")
      assert.include(advice([limited]), "The server asks to wait 20 s (60 per minute). Lower --request-rate or --num-c")
    })

    it("does not blame the server for what this machine has run out of", () => {
      const noFiles = failure("connect_error", "Connect", "Could not connect: connect EMFILE 127.0.0.1:80")
      assert.include(advice([noFiles]), "This machine has run out of files, ports or memory. Raise its limits")
      assert.include(
        advice([noFiles, record()]),
        "1 of 2 failed (could not connect): this machine has run out of files"
      )
    })

    it("is short where other requests succeeded", () => {
      const text = advice([limited, limited, failure(500, "HttpStatus", "HTTP 500"), record()])
      assert.include(text, "\n2 of 4 failed (HTTP 429): the server asks to wait 20 s. Lower --request-rate")
      assert.include(text, "\n1 of 4 failed (HTTP 500): the server, or something in front of it, has failed.")
      assert.notInclude(text, "llmperf probe")
    })
  })

  it("points out chunks that come in bursts, unless the client may have caused them", () => {
    const gaps = (together: number) => Array.from({ length: 10 }, (_, index) => (index < together ? 0 : 0.2))
    const summary = (together: number, requests = 20) =>
      summaryOf(
        Array.from({ length: requests }, () => outcome(record({ number_chunks: 11 }), gaps(together))),
        10
      )
    const text = (of: ReturnType<typeof summary>, verdict?: Verdict.Verdict) =>
      Console.render({ title, summary: of, verdict }, { columns: 400, color: false })
    assert.include(text(summary(6)), "Chunks arrive in bursts: 60.0 % came together with the one before.")
    assert.notInclude(text(summary(4)), "bursts")
    assert.notInclude(text(summary(6, 5)), "bursts")
    const late = Verdict.judge(evidence({ delayOf: () => 0.3 }))
    assert.notInclude(text(summary(6), late), "bursts")
    assert.include(text(summary(6), Verdict.judge(evidence())), "Chunks arrive in bursts")
  })

  it("uses seconds for what takes minutes, and notes chunks that are not tokens", () => {
    const slow = record({
      end_to_end_latency_s: 125.25,
      token_source: "server",
      number_output_tokens: 30,
      number_chunks: 10
    })
    const text = Console.render({ title, summary: summaryOf([outcome(slow)], 200) }, plain)
    assert.strictEqual(cellsOf(text, "end-to-end latency (s)")[1], "125.3")
    assert.include(text, "chunks carry 3.00 tokens on average")
    // A tokenizer of another model says nothing of the server's chunks
    const byTokenizer = summaryOf([outcome({ ...slow, token_source: "tokenizer" })], 200)
    assert.notInclude(Console.render({ title, summary: byTokenizer }, plain), "tokens on average")
    assert.strictEqual(cellsOf(text, "end-to-end latency (s)")[9], "–")
  })
})
