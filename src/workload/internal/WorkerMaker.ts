/** The main thread's side of building prompts on a worker thread: what goes over and what comes back. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { BuiltPrompt, PromptError } from "../Prompt.ts"
import type { TokenizerError } from "../Tokenizer.ts"
import type { Row } from "./rowPrompts.ts"
import * as RowPrompts from "./rowPrompts.ts"
import * as WorkerCalls from "./WorkerCalls.ts"
import * as Wrong from "./wrong.ts"

/** What the worker is started with. */
export const WorkerData = Schema.Struct({ tokenizer: Schema.String, options: RowPrompts.Options })

/** Build these rows, or say how long prompts for these numbers of output tokens must be. */
export type Call = { readonly rows: ReadonlyArray<Row> } | { readonly minimumsFor: ReadonlyArray<number> }

export type Answer =
  | { readonly prompts: ReadonlyArray<BuiltPrompt> }
  | { readonly minimums: ReadonlyArray<number> }
  | { readonly wrong: Wrong.Wrong }

// A call is a batch already.
const CALLS_PER_MESSAGE = 1

/** Builds on the worker of the platform. The worker ends with the scope. */
export const make = Effect.fnUntraced(function* (tokenizer: string) {
  const call = yield* WorkerCalls.make<Call, Answer>({
    tokenizer,
    callsPerMessage: CALLS_PER_MESSAGE,
    gatherMillis: 0
  })
  const build = (rows: ReadonlyArray<Row>): Effect.Effect<ReadonlyArray<BuiltPrompt>, PromptError | TokenizerError> =>
    Effect.flatMap(call({ rows }), (answer) => {
      if ("prompts" in answer) return Effect.succeed(answer.prompts)
      return "wrong" in answer ? Wrong.failWith(tokenizer, answer.wrong) : Wrong.unexpected(tokenizer)
    })
  const minimumInputTokens = (
    outputTokens: ReadonlyArray<number>
  ): Effect.Effect<ReadonlyArray<number>, TokenizerError> =>
    Effect.flatMap(call({ minimumsFor: outputTokens }), (answer) =>
      "minimums" in answer ? Effect.succeed(answer.minimums) : Wrong.unexpected(tokenizer)
    )

  return { build, minimumInputTokens }
})
