import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Random from "effect/Random"

/** LLMPerf's: for what is to be the same every time. */
export const FIXED_SEED = 11_111

const SEEDS = 2 ** 31

interface Input {
  readonly seed: Option.Option<number>
  readonly promptMode?: "exact" | "llmperf"
  readonly samePrompts?: boolean
}

/**
 * The seed of a run: the one that was given, or one that no run had before, so that no server has its prompts in a cache. It is shown
 * and saved, to repeat the run with.
 */
export const seedOf = ({ promptMode = "exact", samePrompts = false, seed }: Input): Effect.Effect<number> => {
  if (Option.isSome(seed)) return Effect.succeed(seed.value)
  return samePrompts || promptMode === "llmperf"
    ? Effect.succeed(FIXED_SEED)
    : Random.nextIntBetween(0, SEEDS, { halfOpen: true })
}
