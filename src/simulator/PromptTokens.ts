/**
 * How the simulated server counts the tokens of prompts.
 *
 * @since 0.2.0
 */
import * as Context from "effect/Context"

/** An estimate for English. */
const CHARACTERS_PER_TOKEN = 4

/**
 * Tokens of a text. Without a tokenizer they are estimated at 4 characters a token; give `Tokenizer.count` to read prompts in the time
 * that `llmperf simulate` takes for them.
 *
 * @category references
 * @since 0.2.0
 */
export const PromptTokens: Context.Reference<(text: string) => number> = Context.Reference(
  "llmperf/simulator/PromptTokens",
  { defaultValue: () => (text: string) => Math.ceil(text.length / CHARACTERS_PER_TOKEN) }
)
