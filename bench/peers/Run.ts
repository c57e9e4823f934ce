import * as Schema from "effect/Schema"

const Quantiles = Schema.Struct({ p50: Schema.Finite, p99: Schema.Finite })

/** What a tool said, next to what the server knows; in ms. */
const Told = Schema.Struct({ claimed: Schema.NullOr(Quantiles), server: Quantiles })

/**
 * One run of one tool.
 *
 * - `settings`: the work and the machine, in words: only runs of the same are compared
 * - `tokens`: those that the server sent
 * - `runSeconds`, `runCpuSeconds`: from the first request at the server until it had sent the last token
 * - `savedCpuSeconds`: from the first request to the end of the process: some tools look at what they received only later
 * - `firstRequestSeconds`: from the start of the process to the first request at the server
 * - `arrivals`: of an open loop, as the server saw it
 */
export const Run = Schema.Struct({
  settings: Schema.String,
  load: Schema.Literals(["closed", "open"]),
  peer: Schema.String,
  version: Schema.String,
  asked: Schema.Int,
  received: Schema.Int,
  completed: Schema.NullOr(Schema.Finite),
  tokens: Schema.Int,
  helpSeconds: Schema.Finite,
  firstRequestSeconds: Schema.Finite,
  runSeconds: Schema.Finite,
  wallSeconds: Schema.Finite,
  runCpuSeconds: Schema.Finite,
  savedCpuSeconds: Schema.Finite,
  processCpuSeconds: Schema.Finite,
  peakBytes: Schema.Finite,
  processes: Schema.Int,
  ttftMs: Told,
  gapMs: Told,
  gapOf: Schema.Literals(["chunks", "requests"]),
  arrivals: Schema.NullOr(
    Schema.Struct({ perSecond: Schema.Finite, dispersion: Schema.Finite, correlation: Schema.Finite })
  )
})

export interface Run extends Schema.Schema.Type<typeof Run> {}
