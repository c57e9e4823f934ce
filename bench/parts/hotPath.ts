import * as Effect from "effect/Effect"
import { alternate, type PartResult } from "../internal/Part.ts"
import * as Row from "../internal/Row.ts"
import * as Server from "../internal/Server.ts"
import * as Sides from "../internal/Sides.ts"
import { quantile } from "../internal/Statistics.ts"

const load: Sides.Load = {
  requests: 2_000,
  concurrency: 200,
  inputTokens: { mean: 550, stddev: 150 },
  outputTokens: 100,
  pace: { ttftMs: 100, itlMs: 20 }
}
const tokens = load.requests * load.outputTokens
/** Requests that are not in steady state: the burst at the start, and the round that still follows its rhythm. */
const leadIn = 2 * load.concurrency

const perToken = (seconds: number): number => (seconds * 1e6) / tokens

const ours = Effect.fnUntraced(function* (origin: string) {
  const { measured, recordsFile } = yield* Sides.ours(load, origin)
  const ttfts = (yield* Sides.readRecords(recordsFile)).map((record) => (record.ttft_s ?? 0) * 1e3)
  return { measured, ttfts }
}, Effect.scoped)

/** What a token costs when many streams are slow, and what that does to the time to first token. */
export const run = Effect.gen(function* () {
  const origin = yield* Server.start({ truth: false })
  const runs = yield* alternate("hot-path", { ours: ours(origin), other: Sides.handwritten(load, origin) })
  const settled = runs.other.map(({ output }) => output.ttfts_ms?.slice(leadIn))

  const cpu = (of: "runCpuSeconds" | "savedCpuSeconds" | "processCpuSeconds", what: string, limit?: Row.Limit) =>
    Row.ratio(
      what,
      "µs",
      runs.ours.map(({ measured }) => perToken(measured[of])),
      runs.other.map(({ measured }) => perToken(measured[of])),
      limit
    )
  const ttft = (q: 0.5 | 0.99, limit: Row.Limit) =>
    Row.difference(
      `TTFT p${q * 100}, all requests`,
      "ms",
      runs.ours.map(({ ttfts }) => quantile(ttfts, q)),
      runs.other.map(({ output }) => (q === 0.5 ? output.ttft_ms.p50 : output.ttft_ms.p99)),
      limit
    )
  const settledTtft = (q: 0.5 | 0.99) => {
    const what = `TTFT p${q * 100}, without the first ${leadIn} requests`
    const mine = runs.ours.map(({ ttfts }) => quantile(ttfts.slice(leadIn), q))
    const theirs = settled.flatMap((ttfts) => (ttfts === undefined ? [] : [quantile(ttfts, q)]))
    return theirs.length === mine.length ? Row.difference(what, "ms", mine, theirs) : Row.absolute(what, "ms", mine)
  }

  const result: PartResult = {
    name: "hot-path",
    settings:
      `${load.requests} requests, ${load.concurrency} at a time, ${load.outputTokens} tokens each, ` +
      `${load.pace.ttftMs} ms to the first and ${load.pace.itlMs} ms to every other token`,
    rows: [
      cpu("runCpuSeconds", "CPU per token, first request to last answer", { atMost: 1.15 }),
      cpu("savedCpuSeconds", "CPU per token, first request to results saved", { atMost: 1.35 }),
      cpu("processCpuSeconds", "CPU per token, whole process"),
      ttft(0.5, { atMost: 1 }),
      ttft(0.99, { atMost: 5 }),
      settledTtft(0.5),
      settledTtft(0.99),
      Row.ratio(
        "peak resident memory",
        "MB",
        runs.ours.map(({ measured }) => measured.peakResidentBytes / 1e6),
        runs.other.map(({ measured }) => measured.peakResidentBytes / 1e6)
      )
    ],
    runs: [
      ...runs.ours.map(({ measured }) => ({ side: "ours", measured })),
      ...runs.other.map(({ measured, output }) => ({
        side: "handwritten",
        measured,
        own_cpu_us_per_token: output.cpu_us_per_token
      }))
    ]
  }
  return result
}).pipe(Effect.scoped)
