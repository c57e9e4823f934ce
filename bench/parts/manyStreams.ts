import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { type PartResult } from "../internal/Part.ts"
import * as ProcessTree from "../internal/ProcessTree.ts"
import * as Row from "../internal/Row.ts"
import * as Server from "../internal/Server.ts"
import { Setup } from "../internal/Setup.ts"
import * as Sides from "../internal/Sides.ts"
import { quantile } from "../internal/Statistics.ts"

const workers = 2

const load: Sides.Load = {
  requests: 5_000,
  concurrency: 1_000,
  inputTokens: { mean: 550, stddev: 150 },
  outputTokens: 100,
  pace: { ttftMs: 100, itlMs: 20 },
  flags: ["--workers", String(workers)]
}

/** The wall time of an ideal client: all slots always taken. */
const shortestSeconds =
  (load.requests / load.concurrency) * ((load.pace.ttftMs + (load.outputTokens - 1) * load.pace.itlMs) / 1e3)

const gapsMs = ({ tokens }: Server.Truth): ReadonlyArray<number> =>
  tokens.slice(1).map((at, index) => (at - (tokens[index] ?? 0)) * 1e3)

const measure = Effect.fnUntraced(function* (origin: string) {
  const { ended, summary, recordsFile } = yield* Sides.oursFromOutside(load, origin)
  const records = yield* Sides.readRecords(recordsFile)
  const truth = yield* Server.truth(origin, load.requests)
  const sent = truth.reduce((sum, { tokens }) => sum + tokens.length, 0)
  const stamped = records.reduce((sum, record) => sum + record.number_chunks, 0)
  const first = Math.min(...truth.map(({ recv }) => recv))
  const last = Math.max(...truth.map(({ tokens }) => tokens.at(-1) ?? 0))
  const added = (q: number) =>
    quantile(
      records.map((record) => (record.ttft_s ?? 0) * 1e3),
      q
    ) -
    quantile(
      truth.map(({ recv, tokens }) => ((tokens[0] ?? 0) - recv) * 1e3),
      q
    )
  const gap = summary.results_inter_chunk_latency_s_quantiles_p50 * 1e3
  const serverGap = quantile(truth.flatMap(gapsMs), 0.5)
  return {
    lost: sent - stamped,
    incomplete: load.requests - summary.results_num_completed_requests,
    verdict: typeof summary.verdict === "object" ? summary.verdict.verdict : (summary.verdict ?? "none"),
    gapP50Ms: gap,
    serverGapP50Ms: serverGap,
    addedTtftMs: { p50: added(0.5), p99: added(0.99) },
    tokensPerSecond: sent / (last - first),
    runSeconds: last - first,
    runCpuMicros: ((ProcessTree.cpuAt(ended, last) - ProcessTree.cpuAt(ended, first)) * 1e6) / sent,
    peakBytes: ProcessTree.peakBytes(ended)
  }
}, Effect.scoped)

/** Whether every token of a thousand quick streams is seen, and seen in time. */
export const run = Effect.gen(function* () {
  const { pairs } = yield* Setup
  const origin = yield* Server.start({ truth: true })
  const runs: Array<Effect.Success<ReturnType<typeof measure>>> = []
  for (let time = 1; time <= pairs; time++) {
    yield* Console.error(`many-streams: run ${time} of ${pairs}`)
    runs.push(yield* measure(origin))
  }
  const row = (what: string, unit: string, of: (figures: (typeof runs)[number]) => number, limit: Row.Limit = {}) =>
    Row.absolute(what, unit, runs.map(of), limit)
  const lost = runs.reduce((sum, run) => sum + Math.abs(run.lost) + run.incomplete, 0)
  const result: PartResult = {
    name: "many-streams",
    settings:
      `${load.requests} requests, ${load.concurrency} at a time, ${load.outputTokens} tokens each, ` +
      `${load.pace.ttftMs} ms to the first and ${load.pace.itlMs} ms to every other token, --workers ${workers}, server with --truth; ` +
      `verdict of the runs: ${[...new Set(runs.map(({ verdict }) => verdict))].join(", ")}`,
    rows: [
      row("tokens that the server sent and llmperf did not stamp", "tokens", (run) => run.lost, { atMost: 0 }),
      row("requests that did not complete", "requests", (run) => run.incomplete, { atMost: 0 }),
      row("time between chunks, p50, by llmperf", "ms", (run) => run.gapP50Ms),
      row("the same, by the server", "ms", (run) => run.serverGapP50Ms),
      row("how far they are apart", "ms", (run) => Math.abs(run.gapP50Ms - run.serverGapP50Ms), { atMost: 1 }),
      row("TTFT p50 added to the server's", "ms", (run) => run.addedTtftMs.p50),
      row("TTFT p99 added to the server's", "ms", (run) => run.addedTtftMs.p99),
      row("tokens per second", "tok/s", (run) => run.tokensPerSecond),
      row(`first request to last token, at best ${shortestSeconds} s`, "s", (run) => run.runSeconds),
      row("CPU per token, first request to last token", "µs", (run) => run.runCpuMicros),
      row("memory at most", "MB", (run) => run.peakBytes / 1e6)
    ],
    runs: runs.map((figures) => ({ side: "ours", ...figures })),
    failed: lost > 0 ? "many-streams: tokens or requests were lost" : null
  }
  return result
}).pipe(Effect.scoped)
