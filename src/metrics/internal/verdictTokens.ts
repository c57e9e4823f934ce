import { type Summary, type UsageComparison } from "../../domain/Summary.ts"
import { type Finding } from "./verdictChecks.ts"
import { type Limits } from "./verdictLimits.ts"

/** What a server may add to each prompt: its chat template, with a system prompt of its own. */
export const TEMPLATE_TOKENS = 48

/** Whether the tokens that were counted here are those of the model, as far as the server tells. */
export const tokenFindings = (summary: Summary, limits: Limits): Array<Finding> => {
  const found: Array<Finding> = []
  const output = summary.usage_output_tokens.mean_relative_difference
  if (summary.token_source === "tokenizer" && output !== null) {
    found.push({ check: "token_mismatch_of_output", value: output, limit: limits.token_mismatch_of_output })
  }
  if (summary.num_uncounted_requests > 0) {
    found.push({
      check: "uncounted_answers",
      value: summary.num_uncounted_requests / summary.num_completed_requests,
      limit: limits.uncounted_answers
    })
  }
  return [...found, ...inputFindings(summary.usage_input_tokens, limits)]
}

const inputFindings = (usage: UsageComparison, limits: Limits): ReadonlyArray<Finding> => {
  const { num_requests_compared: requests, server_tokens: server, tokenizer_tokens: tokenizer } = usage
  const input = mismatchOfInput(usage)
  if (input === null) return []
  const apart = Math.max(tokenizer / server, (server - TEMPLATE_TOKENS * requests) / Math.max(1, tokenizer)) - 1
  const { degraded, invalid } = limits.prompt_mismatch
  // One of the two is said: so far off it is no matter of the tokenizer any more
  if (apart <= Math.min(degraded ?? Infinity, invalid ?? Infinity)) {
    return [{ check: "token_mismatch_of_input", value: input, limit: limits.token_mismatch_of_input }]
  }
  const each = (tokens: number): string => (tokens / requests).toFixed(0)
  const says = `The server read ${each(server)} tokens per prompt where ${each(tokenizer)} were counted, ${(apart * 100).toFixed(0)} % apart`
  return [{ check: "prompt_mismatch", value: apart, limit: limits.prompt_mismatch, says }]
}

/**
 * So many more tokens than the tokenizer the server counts of each prompt on average, if its chat template can be why; `null` when it
 * counts no more, or too many.
 *
 * @category reading
 * @since 0.2.0
 */
export const templateTokensOf = ({
  num_requests_compared,
  server_tokens,
  tokenizer_tokens
}: UsageComparison): number | null => {
  const perPrompt = num_requests_compared === 0 ? 0 : (server_tokens - tokenizer_tokens) / num_requests_compared
  return perPrompt > 0 && perPrompt <= TEMPLATE_TOKENS ? perPrompt : null
}

const mismatchOfInput = ({
  num_requests_compared,
  server_tokens,
  tokenizer_tokens
}: UsageComparison): number | null => {
  if (server_tokens <= 0) return null
  const template = TEMPLATE_TOKENS * num_requests_compared
  const beyond =
    server_tokens > tokenizer_tokens
      ? Math.max(0, server_tokens - tokenizer_tokens - template)
      : tokenizer_tokens - server_tokens
  return beyond / server_tokens
}
