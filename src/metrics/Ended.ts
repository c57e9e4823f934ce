/**
 * Requests that have ended: what a run is a stream of, and what every output of it is given.
 *
 * @since 0.2.0
 */
import * as Effect from "effect/Effect"
import * as Sink from "effect/Sink"
import { type RequestOutcome } from "../domain/RequestRecord.ts"
import { type Measurement, type RunStart } from "./RequestSink.ts"
import { SummarySink } from "./SummarySink.ts"

/**
 * A request that this thread has sent: its row, the gaps between its chunks, and all that was measured of it. `measurement` holds
 * the text of the answer; keep no reference to it.
 *
 * @category models
 * @since 0.2.0
 */
export interface EndedRequest extends RequestOutcome {
  readonly measurement: Measurement
}

/**
 * Requests that this thread has sent, in the order in which they ended. The times of `measurement` are on the clock that read
 * `start` when the run began.
 *
 * @category models
 * @since 0.2.0
 */
export interface EndedHere {
  readonly _tag: "Here"
  readonly requests: ReadonlyArray<EndedRequest>
  readonly start: RunStart
}

/**
 * Lines of a file as they stand in it, each with its end, or blocks of `chunks.arrow`: of `count` requests.
 *
 * @category models
 * @since 0.2.0
 */
export interface Packed {
  readonly bytes: Uint8Array
  readonly count: number
}

/**
 * Requests that another thread or machine has sent, packed there. What is `null` was not asked for or comes in another batch: the
 * rows of an agent on another machine come when its sending is over.
 *
 * - `fold`: the sums of these requests
 * - `supersedesFold`: `fold` is of all requests of this sender, and takes the place of what came before, because some of it
 *   may not have arrived
 * - `records`: lines of `records.ndjson`; `sent`: of `requests_sent.log`; `chunks`: blocks of `chunks.arrow`
 *
 * @category models
 * @since 0.2.0
 */
export interface EndedElsewhere {
  readonly _tag: "Elsewhere"
  readonly sender: string
  readonly fold: SummarySink | null
  readonly supersedesFold: boolean
  readonly records: Packed | null
  readonly sent: Packed | null
  readonly chunks: Packed | null
}

/**
 * A batch of requests that ended.
 *
 * @category models
 * @since 0.2.0
 */
export type Ended = EndedHere | EndedElsewhere

/**
 * Folds the requests of a run into its sums, of which `SummarySink.summary` makes the summary. Requests that this thread has sent
 * are added one by one in their order, so that the same run gives the same sums however it was cut into batches.
 *
 * @category folding
 * @since 0.2.0
 */
export const fold: Sink.Sink<SummarySink, Ended> = Sink.suspend(() => {
  const here = new SummarySink()
  const elsewhere = new Map<string, SummarySink>()
  const add = (ended: Ended): void => {
    if (ended._tag === "Here") {
      for (const request of ended.requests) here.add(request)
      return
    }
    if (ended.fold === null) return
    const before = ended.supersedesFold ? undefined : elsewhere.get(ended.sender)
    const sums = before ?? new SummarySink()
    sums.merge(ended.fold)
    elsewhere.set(ended.sender, sums)
  }
  return Sink.forEachArray((batches: ReadonlyArray<Ended>) => Effect.sync(() => batches.forEach(add))).pipe(
    Sink.map(() => {
      for (const sums of elsewhere.values()) here.merge(sums)
      return here
    })
  )
})
