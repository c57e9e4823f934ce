import { createHash } from "node:crypto"
import { type RequestRecord } from "../../src/domain/RequestRecord.ts"
import type * as Recorded from "./Recorded.ts"

/** A row of a schedule: when it is due, in seconds, and its lengths in tokens. Its id is its place, counted from 1. */
export interface Planned {
  readonly due: number
  readonly inputTokens: number
  readonly outputTokens: number
}

/** A request as it was made: what the server saw of it, and what the results say. */
interface Made {
  readonly id: number
  readonly sha256: string
  readonly asked: number
  readonly inputTokens: number
  readonly outputTokens: number | null
  readonly due: number
}

/**
 * How a run differs from its schedule, and from another run of it, in requests.
 *
 * - `missing`: rows of the schedule that the server did not see, or that are not in the results
 * - `extra`: seen or written more than once, or with an id that the schedule does not have
 * - `unanswered`: failed, or answered with fewer tokens than were asked for
 * - `otherPlan`: with another due time or another length than in the schedule
 * - `otherPrompt`, `otherAnswer`: another body, or another count of tokens in the answer, than the other run had
 * - `digest`: of all of them in order; equal for equal sets
 */
export interface Differences {
  readonly missing: number
  readonly extra: number
  readonly unanswered: number
  readonly otherPlan: number
  readonly otherPrompt: number
  readonly otherAnswer: number
  readonly digest: string
}

export type RequestSet = ReadonlyMap<number, Made>

/** The number at the end of the id that the server saw; 0 where there is none. */
export const idOf = (rid: string): number => Number(/-(\d+)$/.exec(rid)?.[1] ?? 0)

/** Joins what the server saw with the rows of the results. */
export const make = (seen: ReadonlyArray<Recorded.Request>, records: ReadonlyArray<RequestRecord>): RequestSet => {
  const byId = new Map(records.map((record) => [record.request_id, record]))
  return new Map(
    seen.flatMap((request) => {
      const id = idOf(request.rid)
      const record = byId.get(id)
      if (record === undefined) return []
      const made: Made = {
        id,
        sha256: request.sha256,
        asked: request.asked,
        inputTokens: record.number_input_tokens,
        outputTokens: record.number_output_tokens,
        due: record.intended_offset_s
      }
      return [[id, made] as const]
    })
  )
}

const digestOf = (set: RequestSet): string => {
  const hash = createHash("sha256")
  for (const { asked, due, id, inputTokens, outputTokens, sha256 } of [...set.values()].toSorted(
    (a, b) => a.id - b.id
  )) {
    hash.update(`${id} ${due} ${sha256} ${inputTokens} ${asked} ${outputTokens}\n`)
  }
  return hash.digest("hex").slice(0, 16)
}

/** Seconds between two moments that are the same: a schedule is written to the microsecond. */
const sameSeconds = 1e-6

/** `reference`: the set of the run that this one is to be equal to. */
export const compare = (
  seen: ReadonlyArray<Recorded.Request>,
  records: ReadonlyArray<RequestRecord>,
  planned: ReadonlyArray<Planned>,
  reference: RequestSet | null
): Differences => {
  const set = make(seen, records)
  const count = (differs: (made: Made, other: Made | undefined) => boolean): number =>
    [...set.values()].filter((made) => differs(made, reference?.get(made.id))).length
  const strangers = count(({ id }) => planned[id - 1] === undefined)
  return {
    missing: planned.length - (set.size - strangers),
    extra: Math.max(seen.length, records.length) - set.size + strangers,
    unanswered:
      seen.filter(({ asked, sent }) => sent !== asked).length +
      records.filter(({ error_code }) => error_code !== null).length,
    otherPlan: count(({ asked, due, id, inputTokens }) => {
      const plan = planned[id - 1]
      return (
        plan === undefined ||
        Math.abs(plan.due - due) > sameSeconds ||
        plan.inputTokens !== inputTokens ||
        plan.outputTokens !== asked
      )
    }),
    otherPrompt: count((made, other) => other !== undefined && other.sha256 !== made.sha256),
    otherAnswer: count((made, other) => other !== undefined && other.outputTokens !== made.outputTokens),
    digest: digestOf(set)
  }
}
