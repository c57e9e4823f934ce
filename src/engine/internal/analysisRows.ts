import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { RequestRecord } from "../../domain/RequestRecord.ts"
import { SummarySink } from "../../metrics/SummarySink.ts"
import type { Fields } from "../../domain/Fields.ts"

/**
 * Which requests are taken: sent at `fromSeconds` or later and before `toSeconds`, after the first `skipFirst` of the plan. With
 * `only`, the unsampled are left out altogether, or counted as the others are.
 */
export interface Cut {
  readonly fromSeconds: number
  readonly toSeconds: number
  readonly skipFirst: number
  readonly only: "sampled" | "all" | null
}

/** `firstSent`, `lastEnd` are seconds after the start of the run, `null` when nothing was taken. */
export interface Taken {
  readonly sink: SummarySink
  readonly kept: number
  readonly leftOut: number
  readonly unsampled: number
  readonly firstSent: number | null
  readonly lastEnd: number | null
}

const decode = Schema.decodeUnknownResult(RequestRecord)

/** When a request was sent, or due when it never was: seconds after the start of the run. */
const momentOf = (record: RequestRecord): number => record.sent_offset_s ?? record.intended_offset_s

const isTaken = (record: RequestRecord, { fromSeconds, only, skipFirst, toSeconds }: Cut): boolean => {
  const moment = momentOf(record)
  if (moment < fromSeconds || moment >= toSeconds || record.request_id <= skipFirst) return false
  return record.sampled || only !== "sampled"
}

const isMade = (record: RequestRecord, { only }: Cut): boolean => only === "all" && !record.sampled

/** The records that are taken, as they stand in the file, but for `sampled`. None that `take` has refused may be among them. */
export const taken = <E, R>(records: Stream.Stream<Fields, E, R>, cut: Cut): Stream.Stream<Fields, E, R> =>
  records.pipe(
    Stream.map((fields): Fields | null => {
      const record = decode(fields)
      if (Result.isFailure(record) || !isTaken(record.success, cut)) return null
      return isMade(record.success, cut) ? { ...fields, sampled: true } : fields
    }),
    Stream.filter((fields) => fields !== null)
  )
const noGaps = new Float64Array(0)

/** Folds what is taken. `fail` is told of a record (from 1) that is none of ours. */
export const take = <E, R, Failure>(
  records: Stream.Stream<Fields, E, R>,
  cut: Cut,
  fail: (record: number, problem: string) => Failure
): Effect.Effect<Taken, E | Failure, R> =>
  Effect.suspend(() => {
    const sink = new SummarySink()
    let seen = 0
    let kept = 0
    let unsampled = 0
    let firstSent = Infinity
    let lastEnd = -Infinity

    const add = (record: RequestRecord): void => {
      if (!record.sampled) unsampled++
      if (!isTaken(record, cut)) return
      kept++
      firstSent = Math.min(firstSent, momentOf(record))
      lastEnd = Math.max(lastEnd, record.end_offset_s)
      sink.add({
        record: isMade(record, cut) ? { ...record, sampled: true } : record,
        interChunkSeconds: noGaps
      })
    }

    return records.pipe(
      Stream.runForEachArray((chunk) =>
        Effect.suspend(() => {
          for (const fields of chunk) {
            seen++
            const record = decode(fields)
            if (Result.isFailure(record)) return Effect.fail(fail(seen, record.failure.message))
            add(record.success)
          }
          return Effect.void
        })
      ),
      Effect.map(() => ({
        sink,
        kept,
        leftOut: seen - kept,
        unsampled,
        firstSent: kept === 0 ? null : firstSent,
        lastEnd: kept === 0 ? null : lastEnd
      }))
    )
  })
