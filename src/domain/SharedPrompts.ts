/**
 * Why prompts of a run begin alike.
 *
 * @since 0.2.0
 */
import * as Schema from "effect/Schema"

/**
 * Why a server may find prompts, or their beginnings, in its cache:
 *
 * - `same-prompts`: every run sends the same ones, beginning with the same instruction, because that was asked for
 * - `llmperf`: the same, because LLMPerf does so
 * - `prefix-blocks`: those of a trace begin with blocks of text that others begin with too
 * - `sampling-params`: sampling parameters replace the prompt, so that all requests send one text
 * - `questions`: those of a correctness test begin with the same words
 *
 * @category models
 * @since 0.2.0
 */
export const SharedPrompts = Schema.Literals([
  "same-prompts",
  "llmperf",
  "prefix-blocks",
  "sampling-params",
  "questions"
])

/**
 * @category models
 * @since 0.2.0
 */
export type SharedPrompts = typeof SharedPrompts.Type
