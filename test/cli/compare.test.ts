import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { uniformOf } from "../metrics/latencies.ts"
import { record } from "../metrics/records.ts"
import { folder, llmperf } from "./invocation.ts"

const summary = "m_50_10_summary.json"

/** A results folder with requests whose latencies are the same draws, so many times as long. */
const results = (scale: number, more: { readonly [key: string]: unknown } = {}, requests = 300) =>
  Effect.map(folder, (path) => {
    const uniform = uniformOf(1)
    const rows = Array.from({ length: requests }, (_, index) => {
      const latency = scale * (0.1 + uniform() / 5)
      return record({ request_id: index + 1, sent_offset_s: index, ttft_s: latency, end_to_end_latency_s: latency + 1 })
    })
    mkdirSync(path, { recursive: true })
    writeFileSync(
      join(path, summary),
      JSON.stringify({ model: "m", mean_input_tokens: 50, results_wall_time_s: 300, ...more })
    )
    writeFileSync(join(path, "m_50_10_individual_responses.json"), JSON.stringify(rows, null, 4))
    return path
  })

describe("compare", () => {
  it.effect("shows what differs", () =>
    Effect.gen(function* () {
      const [before, after] = [yield* results(1), yield* results(1.2)]
      const { exitCode, stderr, stdout, unreported } = yield* llmperf(["compare", before, join(after, summary)])
      assert.deepStrictEqual([exitCode, stderr, unreported], [0, "", ""])
      assert.match(stdout, /\nTTFT p50 \(ms\) +\d+\.\d +\d+\.\d +\+20 % /)
      assert.match(stdout, /\n- TTFT p50 is 20 % higher \(95 % CI \d+…\d+ %\)\./)
      assert.match(stdout, /Too few values, 300 and 300: p99 needs 1000 \(TTFT, /)
      const again = yield* llmperf(["compare", before, join(after, summary)])
      assert.strictEqual(again.stdout, stdout)
      const seeded = yield* llmperf(["compare", before, join(after, summary), "--seed", "5", "--resamples", "50"])
      assert.notStrictEqual(seeded.stdout, stdout)
    }).pipe(Effect.scoped)
  )

  it.effect("ends with 1 when a rule is broken, and prints all the same", () =>
    Effect.gen(function* () {
      const [before, after, same] = [yield* results(1), yield* results(1.2), yield* results(1)]
      const gate = (...args: ReadonlyArray<string>) => llmperf(["compare", before, ...args, "--resamples", "100"])
      const failed = yield* gate(after, "--fail-if", "ttft_s.p50 > +5%", "--fail-if", "error_rate > +1pp")
      assert.deepStrictEqual([failed.exitCode, failed.stderr, failed.unreported], [1, "", ""])
      assert.match(failed.stdout, /\nFAILED {2}fail if ttft_s\.p50 > \+5%: \+20 %/)
      assert.match(failed.stdout, /\npassed {2}fail if error_rate > \+1pp/)
      assert.strictEqual((yield* gate(same, "--fail-if", "ttft_s.p50 > +5%")).exitCode, 0)
      assert.strictEqual((yield* gate(after, "--fail-if", "ttft_s.p50 > +19%")).exitCode, 1)
      assert.strictEqual((yield* gate(after, "--fail-if", "ttft_s.p50 > +19%", "--fail-when", "certain")).exitCode, 0)
      // Of three runs, one is enough
      const three = yield* gate(same, after, "--fail-if", "ttft_s.mean > +10%", "--json")
      assert.strictEqual(three.exitCode, 1)
      assert.deepStrictEqual(
        JSON.parse(three.stdout).candidates.map(
          (one: { rules: ReadonlyArray<{ outcome: string }> }) => one.rules[0]?.outcome
        ),
        ["passed", "failed"]
      )
    }).pipe(Effect.scoped)
  )

  it.effect("lets nothing through that five requests cannot tell, unless that is allowed", () =>
    Effect.gen(function* () {
      const [before, after] = [yield* results(1, {}, 5), yield* results(1, {}, 5)]
      const gate = (...args: ReadonlyArray<string>) =>
        llmperf(["compare", before, after, "--fail-if", "ttft_s.p99 > +5%", "--fail-if", "error_rate > +1pp", ...args])
      const refused = yield* gate()
      assert.deepStrictEqual([refused.exitCode, refused.unreported], [1, ""])
      assert.match(
        refused.stdout,
        /\nUNKNOWN {2}fail if ttft_s\.p99 > \+5%: cannot be judged: p99 needs 1000 requests, and there are 5 and 5 /
      )
      assert.match(refused.stdout, /\nUNKNOWN {2}fail if error_rate > \+1pp: .*a total needs 30 requests/)
      assert.strictEqual((yield* gate("--fail-when", "estimate")).exitCode, 1)
      assert.strictEqual((yield* gate("--allow-unknown")).exitCode, 0)
      assert.match((yield* gate("--format", "junit")).stdout, /<error message="ttft_s\.p99 &gt; \+5%: cannot be judged/)
      assert.match((yield* gate("--format", "junit", "--allow-unknown")).stdout, /<skipped message="[^"]*needs 1000/)
    }).pipe(Effect.scoped)
  )

  it.effect("says why a run is not to be trusted in words", () =>
    Effect.gen(function* () {
      const reason = { check: "loop_delay", verdict: "DEGRADED", what: "event-loop delay", value: 0.02, unit: "s" }
      const verdict_reasons = [{ ...reason, limit: 0.01, slices: [{ from_s: 1, to_s: 2 }], advice: "Use less." }]
      const before = yield* results(1)
      const after = yield* results(1, { verdict: "DEGRADED", verdict_reasons })
      for (const format of ["table", "markdown", "junit"]) {
        const { stdout } = yield* llmperf(["compare", before, after, "--resamples", "50", "--format", format])
        assert.match(stdout, /is DEGRADED \(event-loop delay: 20\.0 ms \(limit 10\.0 ms\), at 1\.0–2\.0 s\)/)
        assert.notMatch(stdout, /[{}]/)
      }
    }).pipe(Effect.scoped)
  )

  it.effect("prints JSON, Markdown and JUnit XML", () =>
    Effect.gen(function* () {
      const [before, after] = [yield* results(1), yield* results(1.2)]
      const print = (format: string) => llmperf(["compare", before, after, "--resamples", "50", "--format", format])
      assert.strictEqual(JSON.parse((yield* print("json")).stdout).baseline.requests, 300)
      assert.match((yield* print("markdown")).stdout, /^### `.*` against `.*`\n/)
      assert.match((yield* print("junit")).stdout, /^<\?xml version="1\.0" encoding="UTF-8"\?>\n<testsuites /)
    }).pipe(Effect.scoped)
  )

  it.effect("refuses runs of different loads", () =>
    Effect.gen(function* () {
      const [before, after] = [yield* results(1), yield* results(1, { mean_input_tokens: 70, model: "n" })]
      const refused = yield* llmperf(["compare", before, after])
      assert.deepStrictEqual([refused.exitCode, refused.stdout, refused.unreported], [2, "", ""])
      assert.match(refused.stderr, / used different loads: mean input tokens 50 against 70\. .*--allow-different/)
      const allowed = yield* llmperf(["compare", before, after, "--allow-different", "--resamples", "50"])
      assert.strictEqual(allowed.exitCode, 0)
      assert.match(allowed.stdout, /\n! The loads differ: mean input tokens 50 against 70\.\n! model m against n\n/)
    }).pipe(Effect.scoped)
  )

  it.effect("refuses wrong use with 2", () =>
    Effect.gen(function* () {
      const before = yield* results(1)
      for (const [args, told] of [
        [[before], /run/i],
        [[before, join(before, "none")], /Cannot read a run from .*none: there is no such file or folder/],
        [
          [before, before, "--fail-if", "ttft_s.p99 >> 5"],
          /Invalid value for --fail-if: at character 13, expected .*\n {2}ttft_s\.p99 >> 5\n {14}\^/
        ],
        [[before, before, "--fail-if", "ttft_s.p99 > +20"], /a unit: \+20 s\? write \+20ms or \+20s\n/],
        [[before, before, "--format", "yaml"], /one of table, json, markdown, junit/],
        [[before, before, "--resamples", "0"], /a whole number above 0/]
      ] as const) {
        const outcome = yield* llmperf(["compare", ...args])
        assert.deepStrictEqual([outcome.exitCode, outcome.stdout, outcome.unreported], [2, "", ""], outcome.stderr)
        assert.match(outcome.stderr, told)
      }
    }).pipe(Effect.scoped)
  )

  it.effect("has a help with a description of each flag, and examples that are right", () =>
    Effect.gen(function* () {
      const { exitCode, stderr, stdout } = yield* llmperf(["compare", "--help"])
      assert.deepStrictEqual([exitCode, stderr], [0, ""])
      for (const flag of [
        "fail-if",
        "fail-when",
        "allow-unknown",
        "format",
        "json",
        "allow-different",
        "resamples",
        "seed"
      ]) {
        assert.match(stdout, new RegExp(`\n  --${flag}(?: .*)?\n      \\S`), flag)
      }
      for (const line of stdout.split("\n")) assert.isAtMost(line.length, 100, line)
      const examples = [
        ...(stdout.split("\nEXAMPLES\n")[1] ?? "").matchAll(/^ {2}llmperf (compare .*?)( > \S+\.md)?$/gm)
      ]
      assert.lengthOf(examples, 3)
      for (const [, example = ""] of examples) {
        const args = [...example.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? "")
        assert.match((yield* llmperf(args)).stderr, /there is no such file or folder/)
      }
    })
  )
})
