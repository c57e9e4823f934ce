import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { type AgentAddress } from "../AgentAddress.ts"

/**
 * The place where agents are found cannot be asked, or not be told.
 *
 * `passes`: it may be another time, without anybody doing anything about it.
 */
export class DirectoryError extends Schema.TaggedError<DirectoryError>("llmperf/fleet/DirectoryError")(
  "DirectoryError",
  { problem: Schema.String, passes: Schema.Boolean }
) {
  override get message(): string {
    return this.problem
  }
}

/**
 * Where agents are found. It is asked before a run and never during one, so that what becomes of it cannot disturb a run.
 *
 * - `list`: those that say, or are said, to be there. Some may be gone: one that is killed cannot say so
 * - `announce`: makes an agent appear in `list` for as long as the scope is open
 */
export interface Directory {
  readonly list: Effect.Effect<ReadonlyArray<AgentAddress>, DirectoryError>
  readonly announce: (address: AgentAddress) => Effect.Effect<void, DirectoryError, Scope.Scope>
}
