/**
 * What is to be said of prompts that a server had in its cache.
 *
 * @since 0.2.0
 */
import * as Schema from "effect/Schema"
import type { Fields } from "../domain/Fields.ts"
import { SharedPrompts } from "../domain/SharedPrompts.ts"
import type { CachedInput } from "../domain/Summary.ts"
import { resultOf } from "./internal/resultOf.ts"
import * as Text from "./internal/text.ts"

/**
 * A share of cached input tokens up to this one is not worth a word.
 *
 * @category constants
 * @since 0.2.0
 */
export const NOTABLE_SHARE = 0.01

/** What a chat template puts before every prompt has seldom more tokens. */
const TEMPLATE_TOKENS = 64

/** A server that has only a template in its cache reads all of the prompt; tokenizers differ by less than a half. */
const READ_OF_PROMPT = 0.5

/**
 * - `isWarning`: whether the cache was warm for a reason that the reader may not know of
 *
 * @category models
 * @since 0.2.0
 */
export interface CacheRemark {
  readonly text: string
  readonly isWarning: boolean
}

const WARM = "TTFT and throughput are those of a warm cache."

const becauseOf: { readonly [Reason in SharedPrompts]: readonly [because: string, isWarning: boolean] } = {
  "same-prompts": [`--same-prompts sends the same prompts in every run. ${WARM}`, true],
  llmperf: [
    `--prompt-mode llmperf sends the same prompts in every run. ${WARM} --seed N or --prompt-mode exact sends others.`,
    true
  ],
  "prefix-blocks": ["prompts share prefix blocks, as the schedule says.", false],
  "sampling-params": [
    `--additional-sampling-params replaces the prompt, so all requests send the same text. ${WARM}`,
    true
  ],
  questions: ["the questions of a correctness test begin alike.", false]
}

/**
 * A remark on the share of input tokens that came from the server's cache, `null` when it is at most 1 % or not known. `shared`: why
 * prompts begin alike, `null` when each begins with words of its own, `undefined` when that is not known. `promptTokens`: how many
 * tokens a prompt has on average, without a template; 0 when that is not known.
 *
 * @category rendering
 * @since 0.2.0
 */
export const remark = (
  cached: CachedInput,
  shared: SharedPrompts | null | undefined,
  promptTokens = 0
): CacheRemark | null => {
  const { num_requests, share, total_cached_tokens, total_tokens } = cached
  if (share === null || share <= NOTABLE_SHARE) return null
  const perRequest = total_cached_tokens / num_requests
  const found = `${Text.percent(share)} of the input tokens came from the server's cache (${Text.number(perRequest)} per request)`
  if (shared === undefined) return { text: `${found}. ${WARM}`, isWarning: true }
  if (shared !== null) {
    const [because, isWarning] = becauseOf[shared]
    return { text: `${found}: ${because}`, isWarning }
  }
  const readPerRequest = (total_tokens - total_cached_tokens) / num_requests
  return perRequest <= TEMPLATE_TOKENS && readPerRequest >= READ_OF_PROMPT * promptTokens
    ? {
        text: `${found}, about what a chat template puts before each prompt. The prompts themselves have nothing in common.`,
        isWarning: false
      }
    : {
        text: `${found}, although the prompts of this run have nothing in common: they were sent before by a run with the same seed, or a gateway in between keeps answers. ${WARM}`,
        isWarning: true
      }
}

/**
 * The remark on a finished run, by its summary as it stands in the file.
 *
 * @category rendering
 * @since 0.2.0
 */
export const ofSummary = (summary: Fields): CacheRemark | null => {
  const cached = (name: string): number | null => resultOf(summary, `usage_cached_input_tokens_${name}`)
  const shared = summary["shared_prompts"]
  return remark(
    {
      num_requests: cached("num_requests") ?? 0,
      total_tokens: cached("total_tokens") ?? 0,
      total_cached_tokens: cached("total_cached_tokens") ?? 0,
      share: cached("share")
    },
    shared === null || isSharedPrompts(shared) ? shared : undefined,
    resultOf(summary, "number_input_tokens_mean") ?? 0
  )
}

const isSharedPrompts = Schema.is(SharedPrompts)
