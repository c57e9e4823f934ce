/**
 * Whose count of output tokens leads in a run.
 *
 * With `auto` the first answer of the run that succeeds decides. The rows of answers wait for the decision. Where one thread sends it
 * is there at once; agents propose what their first answer speaks for, and the coordinator tells all of them what holds.
 *
 * @since 0.2.0
 */
import * as Deferred from "effect/Deferred"
import type * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { type Usage } from "../domain/TokenEvent.ts"
import { type CountTokens, type TokenSource } from "../domain/TokenSource.ts"

/**
 * - `current()`: what was decided, `null` until then
 * - `answered(usage)`: an answer has succeeded, with this as the server's last word on its tokens
 * - `decide(source)`: takes effect the first time
 * - `decided`: waits for it
 *
 * @category models
 * @since 0.2.0
 */
export interface TokenDecision {
  readonly current: () => TokenSource | null
  readonly answered: (usage: Usage | null) => void
  readonly decide: (source: TokenSource) => void
  readonly decided: Effect.Effect<TokenSource>
}

/**
 * `propose` is told, once, what the first answer speaks for, and somebody else decides; without it, that is the decision.
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = (asked: CountTokens, propose?: (source: TokenSource) => void): TokenDecision => {
  const decision = Deferred.makeUnsafe<TokenSource>()
  let current: TokenSource | null = null
  let isProposed = false
  const decide = (source: TokenSource): void => {
    current ??= source
    Deferred.doneUnsafe(decision, Exit.succeed(current))
  }
  if (asked !== "auto") decide(asked)
  return {
    current: () => current,
    answered: (usage) => {
      if (current !== null || isProposed) return
      isProposed = true
      const source = usage === null || usage.outputTokens === null ? "tokenizer" : "server"
      if (propose === undefined) decide(source)
      else propose(source)
    },
    decide,
    decided: Deferred.await(decision)
  }
}
