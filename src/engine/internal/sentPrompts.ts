/** What is really sent: prompts of their own, some that begin alike, or one text for all. */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { type RequestPlan } from "../../domain/RequestPlan.ts"
import { type RunConfig } from "../../domain/RunConfig.ts"
import { type SharedPrompts } from "../../domain/SharedPrompts.ts"
import { TokenCounter } from "../../workload/TokenCounter.ts"

/** Why prompts begin alike. `blocks`: whether they are made of prefix blocks. */
export const sharedPrompts = (run: {
  readonly promptMode: RunConfig["promptMode"]
  readonly samePrompts?: boolean | undefined
  readonly replaced: string | null
  readonly blocks: boolean
}): SharedPrompts | null => {
  if (run.replaced !== null) return "sampling-params"
  if (run.blocks) return "prefix-blocks"
  if (run.promptMode === "llmperf") return "llmperf"
  return run.samePrompts === true ? "same-prompts" : null
}

/** The plans with the text that replaces their prompts, and its tokens. */
export const sent = Effect.fnUntraced(function* <E, R>(
  plans: Stream.Stream<RequestPlan, E, R>,
  replaced: string | null | undefined
) {
  if (replaced === null || replaced === undefined) return plans
  const counter = yield* TokenCounter
  const inputTokens = yield* counter.count(replaced)
  return Stream.map(plans, (plan): RequestPlan => ({
    ...plan,
    prompt: replaced,
    inputTokens,
    targetInputTokens: inputTokens
  }))
})
