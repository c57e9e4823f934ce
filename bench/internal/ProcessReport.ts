import * as Schema from "effect/Schema"

/** Seconds since the process started, and the processor time of all its threads until then, user and system. */
const Moment = Schema.Struct({ wallSeconds: Schema.Finite, cpuSeconds: Schema.Finite })

/**
 * What `preload.mjs` writes.
 *
 * - `begin`, `end`: the first request was made, the last expected answer was over; `null` when that did not happen
 * - `exit`: the process ends; its processor time is then that of the whole process, start included
 */
export const ProcessReport = Schema.Struct({
  begin: Schema.NullOr(Moment),
  end: Schema.NullOr(Moment),
  exit: Moment,
  answers: Schema.Int,
  failures: Schema.Int,
  peakResidentBytes: Schema.Finite,
  samples: Schema.Array(Schema.Struct({ answers: Schema.Int, residentBytes: Schema.Finite }))
})

export interface ProcessReport extends Schema.Schema.Type<typeof ProcessReport> {}
