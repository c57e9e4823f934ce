import * as Effect from "effect/Effect"
import { type RequestRecord } from "../../src/domain/RequestRecord.ts"
import { BenchError } from "../internal/BenchError.ts"
import { alternate, type PartResult } from "../internal/Part.ts"
import * as Row from "../internal/Row.ts"
import * as Server from "../internal/Server.ts"
import * as Sides from "../internal/Sides.ts"
import { quantile } from "../internal/Statistics.ts"

const load: Sides.Load = {
  requests: 1_000,
  concurrency: 200,
  inputTokens: { mean: 550, stddev: 150 },
  outputTokens: 100,
  pace: { ttftMs: 100, itlMs: 20 }
}

const first = (truth: Server.Truth): number => truth.tokens[0] ?? 0
const serverTtft = (truth: Server.Truth): number => (first(truth) - truth.recv) * 1e3
const serverGap = (truth: Server.Truth): number =>
  (((truth.tokens.at(-1) ?? 0) - first(truth)) * 1e3) / (truth.tokens.length - 1)

/** Ours less the server's, in ms, for the request of one record. The gap is per token that the server sent. */
const errorsOf = (record: RequestRecord, truth: Server.Truth) => ({
  ttft: (record.ttft_s ?? 0) * 1e3 - serverTtft(truth),
  gap: ((record.sum_inter_token_latency_s ?? 0) * 1e3) / (truth.tokens.length - 1) - serverGap(truth)
})

const ours = Effect.fnUntraced(function* (origin: string) {
  const { recordsFile } = yield* Sides.ours(load, origin)
  const records = yield* Sides.readRecords(recordsFile)
  const truth = yield* Server.truth(origin, load.requests)
  const byRequestId = new Map(truth.map((row) => [row.rid, row]))
  const errors = yield* Effect.forEach(records, (record) => {
    const row = byRequestId.get(record.x_request_id ?? "")
    return row === undefined || !row.ok
      ? Effect.fail(new BenchError({ description: `The server does not know ${record.x_request_id}` }))
      : Effect.succeed(errorsOf(record, row))
  })
  const added = (q: number) =>
    quantile(
      records.map((record) => (record.ttft_s ?? 0) * 1e3),
      q
    ) - quantile(truth.map(serverTtft), q)
  return { p50: added(0.5), p99: added(0.99), errors }
}, Effect.scoped)

const handwritten = Effect.fnUntraced(function* (origin: string) {
  const { output } = yield* Sides.handwritten(load, origin)
  const sent = (yield* Server.truth(origin, load.requests)).map(serverTtft)
  return { p50: output.ttft_ms.p50 - quantile(sent, 0.5), p99: output.ttft_ms.p99 - quantile(sent, 0.99) }
})

/** How far the client's figures are from what the server knows it sent. */
export const run = Effect.gen(function* () {
  const origin = yield* Server.start({ truth: true })
  const runs = yield* alternate("accuracy", { ours: ours(origin), other: handwritten(origin) })

  const added = (of: "p50" | "p99", limit: Row.Limit) =>
    Row.difference(
      `TTFT ${of} added to the server's`,
      "ms",
      runs.ours.map((run) => run[of]),
      runs.other.map((run) => run[of]),
      limit
    )
  const error = (of: "ttft" | "gap", q: 0.5 | 0.99, what: string) =>
    Row.absolute(
      what,
      "ms",
      runs.ours.map(({ errors }) =>
        quantile(
          errors.map((error) => error[of]),
          q
        )
      )
    )
  const result: PartResult = {
    name: "accuracy",
    settings:
      `${load.requests} requests, ${load.concurrency} at a time, ${load.outputTokens} tokens each, ` +
      `${load.pace.ttftMs} ms to the first and ${load.pace.itlMs} ms to every other token, server with --truth`,
    rows: [
      added("p50", { atMost: 1 }),
      added("p99", { atMost: 5 }),
      error("ttft", 0.5, "TTFT less the server's, request by request, p50"),
      error("ttft", 0.99, "TTFT less the server's, request by request, p99"),
      error("gap", 0.5, "time per token less the server's, request by request, p50"),
      error("gap", 0.99, "time per token less the server's, request by request, p99")
    ],
    runs: [
      ...runs.ours.map(({ p50, p99 }) => ({ side: "ours", added_ttft_ms: { p50, p99 } })),
      ...runs.other.map((added_ttft_ms) => ({ side: "handwritten", added_ttft_ms }))
    ]
  }
  return result
}).pipe(Effect.scoped)
