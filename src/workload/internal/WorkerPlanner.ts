/** The main thread's side of building plans on a worker thread: what goes over and what comes back. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { PromptMode } from "../../domain/RunConfig.ts"
import type { PromptError } from "../Prompt.ts"
import type { TokenizerError } from "../Tokenizer.ts"
import type * as Planner from "./planner.ts"
import * as WorkerCalls from "./WorkerCalls.ts"
import * as Wrong from "./wrong.ts"

/** What the worker is started with. */
export const WorkerData = Schema.Struct({
  tokenizer: Schema.String,
  options: Schema.Struct({
    // Infinite too: @effect-diagnostics-next-line schemaNumber:off
    count: Schema.Number,
    seed: Schema.Union([Schema.Int, Schema.BigInt]),
    meanInputTokens: Schema.Finite,
    stddevInputTokens: Schema.Finite,
    meanOutputTokens: Schema.Finite,
    stddevOutputTokens: Schema.Finite,
    promptMode: PromptMode,
    samePrompts: Schema.optional(Schema.Boolean)
  })
})

export type Answer = { readonly batch: Planner.Batch } | { readonly wrong: Wrong.Wrong }

// A call is a batch already.
const CALLS_PER_MESSAGE = 1

/** Builds on the worker of the platform. The worker ends with the scope. */
export const make = Effect.fnUntraced(function* (tokenizer: string) {
  const call = yield* WorkerCalls.make<Planner.Ask, Answer>({
    tokenizer,
    callsPerMessage: CALLS_PER_MESSAGE,
    gatherMillis: 0
  })
  return (ask: Planner.Ask): Effect.Effect<Planner.Batch, PromptError | TokenizerError> =>
    Effect.flatMap(call(ask), (answer) =>
      "batch" in answer ? Effect.succeed(answer.batch) : Wrong.failWith(tokenizer, answer.wrong)
    )
})
