/**
 * What a run comes back with.
 *
 * @since 0.2.0
 */
import { type SharedPrompts } from "../domain/SharedPrompts.ts"
import { type Summary } from "../domain/Summary.ts"
import { type HealthSummary } from "../metrics/HealthSummary.ts"
import { type Verdict } from "../metrics/Verdict.ts"
import type * as ResultFiles from "../output/ResultFiles.ts"
import { type TokenizerError } from "../workload/Tokenizer.ts"
import type * as AbortOnErrors from "./AbortOnErrors.ts"
import { type AgentProfile } from "./LoadAgent.ts"
import { type StopReason } from "./StopSignal.ts"

/**
 * An agent that ended before its time. `requestIds`: the requests it held then; what became of them is not known. What had
 * ended before is among the results.
 *
 * @category models
 * @since 0.2.0
 */
export interface LostAgent {
  readonly name: string
  readonly problem: string
  readonly requestIds: ReadonlyArray<number>
}

/**
 * An agent on another machine and what it did.
 *
 * - `missingRows`: the ids of requests that are in the summary and of which there is no row
 * - `lag`: from the moment a request was due to the moment it was sent, in seconds
 * - `verdict`: of its own requests, by what it saw; `null` when it was lost and told nothing of that
 * - the rest: as in the summary's `agents`; see `docs/results.md`
 *
 * @category models
 * @since 0.2.0
 */
export interface AgentResult {
  readonly name: string
  readonly profile: AgentProfile
  readonly requests: number
  readonly missingRows: ReadonlyArray<number>
  readonly offsetSeconds: number
  readonly roundTripSeconds: number
  readonly driftSeconds: number
  readonly startedSeconds: number | null
  readonly lag: Summary["dispatch_lag_s"]
  readonly verdict: Verdict | null
  readonly lost: LostAgent | null
}

/**
 * - `document`: the summary as it stands in the file, flat
 * - `sharedPrompts`: why prompts begin alike, `null` when each begins with words of its own
 * - `stopped`: why the run ended before all requests were sent and done, or `null`
 * - `errorLimit`: the limit of failed requests that was reached, `null` when none was
 * - `notSent`: planned requests that were never started
 * - `lost`: agents that were lost, with the requests they took along; the result is then a part of one
 * - `agents`: those on other machines
 * - `uncounted`: why answers could not be counted, `null` when all could
 * - `verdict`: whether the numbers are the server's
 * - `health`: how the client was
 * - `files`: the paths of what was written, the summary first; empty without a results folder
 *
 * @category models
 * @since 0.2.0
 */
export interface RunResult {
  readonly summary: Summary
  readonly document: ResultFiles.Document
  readonly sharedPrompts: SharedPrompts | null
  readonly stopped: StopReason | null
  readonly errorLimit: AbortOnErrors.Reached | null
  readonly notSent: number
  readonly lost: ReadonlyArray<LostAgent>
  readonly agents: ReadonlyArray<AgentResult>
  readonly uncounted: TokenizerError | null
  readonly verdict: Verdict
  readonly health: HealthSummary
  readonly files: ReadonlyArray<string>
}
