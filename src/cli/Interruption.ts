/**
 * Ctrl-C, as a command sees it: the first one is a wish that a command may grant in its own way; the next stops it.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"

/**
 * Ends at the first SIGINT or SIGTERM. While a fiber waits for it, that signal does not interrupt the program; every other
 * one does. By default it never ends.
 *
 * @category references
 * @since 0.1.0
 */
export const Interruption = Context.Reference<Effect.Effect<void>>("llmperf/cli/Interruption", {
  defaultValue: () => Effect.never
})
