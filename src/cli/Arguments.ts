/**
 * The arguments of the program, those of a config file included.
 *
 * @since 0.2.0
 */
import * as Context from "effect/Context"

/**
 * What the command was read from, for those who have it read again in a thread of their own. None by default.
 *
 * @category references
 * @since 0.2.0
 */
export const Arguments = Context.Reference<ReadonlyArray<string>>("llmperf/cli/Arguments", { defaultValue: () => [] })
