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

/**
 * The variables of the environment that stand for flags (`LLMPERF_…`), for those who read the command in another environment. None
 * by default.
 *
 * @category references
 * @since 0.2.0
 */
export const Variables = Context.Reference<{ readonly [name: string]: string }>("llmperf/cli/Variables", {
  defaultValue: () => ({})
})
