/**
 * What a run comes back with.
 *
 * @since 0.2.0
 */
import { type Summary } from "../domain/Summary.ts"
import type * as ResultFiles from "../output/ResultFiles.ts"
import { type TokenizerError } from "../workload/Tokenizer.ts"
import { type StopReason } from "./StopSignal.ts"

/**
 * - `document`: the summary as it stands in the file, flat
 * - `stopped`: why the run ended before all requests were sent and done, or `null`
 * - `notSent`: planned requests that were never started
 * - `uncounted`: why answers could not be counted, `null` when all could
 * - `files`: the paths of what was written, the summary first; empty without a results folder
 *
 * @category models
 * @since 0.2.0
 */
export interface RunResult {
  readonly summary: Summary
  readonly document: ResultFiles.Document
  readonly stopped: StopReason | null
  readonly notSent: number
  readonly uncounted: TokenizerError | null
  readonly files: ReadonlyArray<string>
}
