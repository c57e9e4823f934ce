/**
 * `requests_sent.log`: one line of JSON per request of a schedule, with when it was due, when it was sent and when its
 * answer ended. `docs/results.md` describes its keys.
 *
 * @since 0.2.0
 */
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type * as Scope from "effect/Scope"
import type { RequestRecord } from "../domain/RequestRecord.ts"
import { type Packed } from "../metrics/Ended.ts"
import { lineSink, makeLineWriter } from "./internal/lineWriter.ts"
import { type Output } from "./Output.ts"
import type { OutputError } from "./OutputError.ts"

/**
 * A log that requests are appended to as they end. See `Ndjson.RecordWriter` for what the operations promise.
 *
 * @category models
 * @since 0.2.0
 */
export interface SentLog {
  readonly append: (record: RequestRecord) => void
  readonly appendLines: (lines: Packed) => void
  readonly failure: Effect.Effect<never, OutputError>
  readonly close: Effect.Effect<number, OutputError>
  readonly written: () => number
}

/**
 * Makes the file, which must not exist yet, and keeps it open until the scope closes. Whatever was appended is written
 * before that, also when the run is interrupted.
 *
 * @category constructors
 * @since 0.2.0
 */
export const makeWriter = Effect.fn("SentLog.makeWriter")(function* (
  path: string
): Effect.fn.Return<SentLog, OutputError, FileSystem.FileSystem | Scope.Scope> {
  const { append, appendLines, close, failure, written } = yield* makeLineWriter(path, line)
  return { append, appendLines, failure, close, written }
})

/**
 * `requests_sent.log` as an output of a run. `path` must not exist yet.
 *
 * @category outputs
 * @since 0.2.0
 */
export const output = (path: string): Output => ({
  name: "requests_sent.log",
  open: () =>
    Effect.map(makeLineWriter(path, line), (writer) => ({
      sink: lineSink(
        writer,
        ({ record }) => record,
        ({ sent }) => sent
      ),
      files: [path],
      fields: () => Effect.as(writer.close, {})
    }))
})

/**
 * The line of a request, without its end: LLMPerf's keys, then ours. Seconds are rounded to microseconds. Dispatch is the
 * moment of writing to the socket; what follows from it is `null` for a request that was never written. `unsampled` stands
 * at the end of the lines of requests that are not measured, and nowhere else.
 *
 * @category encoding
 * @since 0.2.0
 */
export const line = (record: RequestRecord): string => {
  const sent = record.sent_offset_s !== null
  return JSON.stringify({
    request_id: record.request_id,
    scheduled_offset_s: seconds(record.intended_offset_s),
    dispatch_offset_s: seconds(record.sent_offset_s),
    dispatch_lag_s: seconds(record.dispatch_lag_s),
    dispatch_ts_utc: timestamp(record.start_time),
    response_offset_s: sent ? seconds(record.end_offset_s) : null,
    response_ts_utc: sent ? timestamp(record.end_time) : null,
    status: record.status,
    error_code: record.error_code,
    error_reason: record.error_reason,
    input_tokens: record.number_input_tokens,
    output_tokens: record.number_output_tokens,
    scheduled_ttft_s: seconds(record.scheduled_ttft_s),
    scheduled_end_to_end_latency_s: seconds(record.scheduled_end_to_end_latency_s),
    unsampled: record.sampled ? undefined : true
  })
}

const seconds = (value: number | null): number | null => (value === null ? null : Math.round(value * 1e6) / 1e6)

const timestamp = (epochSeconds: number | null): string | null =>
  epochSeconds === null ? null : DateTime.formatIso(DateTime.makeUnsafe(Math.round(epochSeconds * 1000)))
