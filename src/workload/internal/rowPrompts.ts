/** Builds the prompts of rows of a schedule, on whichever thread. */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { PromptMode } from "../../domain/RunConfig.ts"
import * as PrefixPrompt from "../PrefixPrompt.ts"
import * as Prompt from "../Prompt.ts"
import * as PythonRandom from "../PythonRandom.ts"
import type { Tokenizer } from "../Tokenizer.ts"

export const Options = Schema.Struct({
  seed: Schema.Int,
  promptMode: PromptMode,
  samePrompts: Schema.optional(Schema.Boolean),
  blockTokens: Schema.NullOr(Schema.Int)
})

export interface Options extends Schema.Schema.Type<typeof Options> {}

export interface Row {
  readonly id: number
  readonly inputTokens: number
  readonly outputTokens: number
  readonly blocks: ReadonlyArray<number> | null
}

/** Throws what the tokenizer throws. */
export interface RowPrompts {
  readonly build: (rows: ReadonlyArray<Row>) => Result.Result<ReadonlyArray<Prompt.BuiltPrompt>, Prompt.PromptError>
  readonly minimumInputTokens: (outputTokens: ReadonlyArray<number>) => ReadonlyArray<number>
}

export const make = (
  { blockTokens, promptMode, samePrompts = false, seed }: Options,
  tokenizer: Tokenizer["Service"]
): RowPrompts => {
  const random = PythonRandom.make(seed)
  const builder = Prompt.make(promptMode, tokenizer, { repeat: true, nonceSeed: samePrompts ? undefined : seed })
  const prefixed = blockTokens === null ? null : PrefixPrompt.make({ tokenizer, seed, blockTokens })

  const buildRow = (row: Row): Result.Result<Prompt.BuiltPrompt, Prompt.PromptError> => {
    const { blocks, id, inputTokens, outputTokens } = row
    return prefixed !== null && blocks !== null && blocks.length > 0
      ? Result.succeed({ ...prefixed.build({ id, inputTokens, blocks }), repeated: false })
      : builder.build(random.fork(`row ${id}`), { id, inputTokens, outputTokens })
  }

  return {
    build: (rows) => {
      const prompts: Array<Prompt.BuiltPrompt> = []
      for (const row of rows) {
        const prompt = buildRow(row)
        if (Result.isFailure(prompt)) return Result.fail(prompt.failure)
        prompts.push(prompt.success)
      }
      return Result.succeed(prompts)
    },
    minimumInputTokens: (outputTokens) => outputTokens.map(builder.minimumInputTokens)
  }
}
