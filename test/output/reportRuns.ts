import { NodeServices } from "@effect/platform-node"
import * as Effect from "effect/Effect"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type RequestRecord } from "../../src/domain/RequestRecord.ts"
import * as Report from "../../src/output/Report.ts"
import * as ReportData from "../../src/output/ReportData.ts"
import { failure, record } from "../metrics/records.ts"

export const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "llmperf-report-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

/** A fraction from 0 to 1 for each number, which looks random. */

const fraction = (n: number): number => Math.abs(Math.sin(n * 12.9898) * 43758.5453) % 1

/** So many requests, 20 a second, every 25th of which fails in one of two ways. `slower` multiplies the times. */
export const requests = (count: number, slower = 1): ReadonlyArray<RequestRecord> =>
  Array.from({ length: count }, (_, i) => {
    const due = i / 20
    const lag = 0.001 + fraction(i) * 0.004
    const sent = due + lag
    const common = {
      request_id: i + 1,
      intended_offset_s: due,
      sent_offset_s: sent,
      dispatch_lag_s: lag,
      number_input_tokens: 100 + Math.floor(fraction(i + 0.1) * 900)
    }
    if (i % 25 === 24) {
      const overrides = { ...common, end_offset_s: sent + 0.5 }
      return i % 50 === 49
        ? failure("timeout_idle", "Timeout", "no token for 30 s", overrides)
        : failure(503, "HttpStatus", "overloaded", overrides)
    }
    const first = slower * (0.1 + fraction(i + 0.2) ** 3)
    const gap = slower * (0.01 + 0.01 * fraction(i + 0.3))
    const tokens = 20 + Math.floor(fraction(i + 0.4) * 100)
    const total = first + gap * (tokens - 1)
    return record({
      ...common,
      ttft_s: first,
      inter_token_latency_s: gap,
      mean_inter_token_latency_s: gap,
      sum_inter_token_latency_s: gap * (tokens - 1),
      end_to_end_latency_s: total,
      scheduled_ttft_s: first + lag,
      scheduled_end_to_end_latency_s: total + lag,
      end_offset_s: sent + total,
      number_output_tokens: tokens,
      number_total_tokens: common.number_input_tokens + tokens,
      request_output_throughput_token_per_s: tokens / total
    })
  })

/** The summary of an open loop that the client had a part in. */
export const summary = (overrides: { readonly [key: string]: unknown } = {}) => ({
  version: "2023-08-31",
  model: "org/model",
  num_concurrent_requests: null,
  run_id: "night",
  results_num_late_requests: 0,
  results_ttft_s_quantiles_p50: 0.2,
  verdict: "DEGRADED",
  verdict_reasons: [
    {
      check: "loop_delay",
      verdict: "DEGRADED",
      what: "event-loop delay",
      value: 0.034,
      unit: "s",
      limit: 0.012,
      slices: [{ from_s: 2, to_s: 4 }],
      advice: "Use more workers."
    }
  ],
  verdict_slices: [
    { from_s: 0, to_s: 2, verdict: "VALID", checks: [] },
    { from_s: 2, to_s: 3, verdict: "DEGRADED", checks: ["loop_delay"] },
    { from_s: 3, to_s: 4, verdict: "INVALID", checks: ["loop_delay"] }
  ],
  calibration_added_ttft_p50_s: 0.0004,
  calibration_added_ttft_p99_s: 0.002,
  timestamp: 1_764_000_000,
  ...overrides
})

/** Writes what a run leaves into a folder of its own below `parent`. */
export const writeRun = (
  parent: string,
  name: string,
  rows: ReadonlyArray<object>,
  of: { readonly [key: string]: unknown } = summary()
): string => {
  const path = join(parent, name)
  mkdirSync(path)
  writeFileSync(join(path, "m_1_1_summary.json"), JSON.stringify(of))
  writeFileSync(join(path, "m_1_1_individual_responses.json"), JSON.stringify(rows))
  return path
}

export const read = (...paths: ReadonlyArray<string>) => ReportData.read(paths).pipe(Effect.provide(NodeServices.layer))

export const html = (data: ReportData.ReportData) => Report.html(data, "1.2.3").pipe(Effect.provide(NodeServices.layer))
