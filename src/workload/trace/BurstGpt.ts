/**
 * The BurstGPT traces (HPMLL/BurstGPT): `Timestamp` (s), `Session ID` in the newer files, `Model`, `Request tokens`,
 * `Response tokens`, `Total tokens`, `Log Type`, in any order. A request with 0 response tokens failed: it is left out and
 * counted.
 *
 * @since 0.2.0
 */
import * as Cells from "../internal/scheduleCells.ts"
import type { Format } from "./Format.ts"

/**
 * @category constructors
 * @since 0.2.0
 */
export const make = (): Format => ({
  name: "burstgpt",
  title: "BurstGPT trace",
  timeColumn: "Timestamp",
  time: Cells.time("s"),
  inputColumn: "Request tokens",
  outputColumn: "Response tokens",
  tokens: Cells.looseCount,
  mark: [],
  sessions: { columns: ["Session ID"], make: Cells.labels },
  blocks: null,
  skipZero: "failed requests (0 response tokens)"
})
