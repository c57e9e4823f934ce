/** The main thread's side of building prompts on a worker thread: what goes over and what comes back. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { type BuiltPrompt, PromptError } from "../Prompt.ts"
import { TokenizerError } from "../Tokenizer.ts"
import type { Row } from "./rowPrompts.ts"
import * as RowPrompts from "./rowPrompts.ts"
import * as WorkerCalls from "./WorkerCalls.ts"

/** What the worker is started with. */
export const WorkerData = Schema.Struct({ tokenizer: Schema.String, options: RowPrompts.Options })

/** Build these rows, or say how long prompts for these numbers of output tokens must be. */
export type Call = { readonly rows: ReadonlyArray<Row> } | { readonly minimumsFor: ReadonlyArray<number> }

/** An error of a prompt, as it goes over. */
export const Wrong = Schema.toCodecJson(PromptError)

export type Answer =
  | { readonly prompts: ReadonlyArray<BuiltPrompt> }
  | { readonly minimums: ReadonlyArray<number> }
  | { readonly wrong: typeof Wrong.Encoded }

// A call is a batch already.
const CALLS_PER_MESSAGE = 1

/** Builds on the worker of the platform. The worker ends with the scope. */
export const make = Effect.fnUntraced(function* (tokenizer: string) {
  const call = yield* WorkerCalls.make<Call, Answer>({
    tokenizer,
    callsPerMessage: CALLS_PER_MESSAGE,
    gatherMillis: 0
  })
  const unexpected = new TokenizerError({ tokenizer, description: "its thread gave an answer that was not asked for" })
  const decodeWrong = Schema.decodeEffect(Wrong)

  const build = (rows: ReadonlyArray<Row>): Effect.Effect<ReadonlyArray<BuiltPrompt>, PromptError | TokenizerError> =>
    Effect.flatMap(call({ rows }), (answer) => {
      if ("prompts" in answer) return Effect.succeed(answer.prompts)
      return "wrong" in answer
        ? Effect.flatMap(
            Effect.mapError(decodeWrong(answer.wrong), () => unexpected),
            Effect.fail
          )
        : Effect.fail(unexpected)
    })
  const minimumInputTokens = (
    outputTokens: ReadonlyArray<number>
  ): Effect.Effect<ReadonlyArray<number>, TokenizerError> =>
    Effect.flatMap(call({ minimumsFor: outputTokens }), (answer) =>
      "minimums" in answer ? Effect.succeed(answer.minimums) : Effect.fail(unexpected)
    )

  return { build, minimumInputTokens }
})
