/**
 * The text of a request: LLMPerf's instruction and lines of the corpus.
 *
 * Two modes. `exact`, the default: the final text has exactly the wanted number of tokens, counted on the final text,
 * and no text comes twice, unless that is allowed. With a `nonceSeed` it begins with some words of its own, and the instruction
 * comes behind them: a server that keeps the beginnings of prompts in a cache then finds none of them there. `llmperf`: byte for byte what LLMPerf builds from the same seed, which is about 6 % shorter
 * than the length it reports, because it counts a start token in every line and cuts the last line after that many
 * characters instead of tokens.
 *
 * Both take the same draws from the generator in the same order, so with one seed they have the same lengths and the
 * same order of lines.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { PromptMode } from "../domain/RunConfig.ts"
import * as Corpus from "./Corpus.ts"
import * as ExactPrompt from "./internal/ExactPrompt.ts"
import * as GivenTexts from "./internal/givenTexts.ts"
import * as Nonces from "./internal/nonces.ts"
import { ImpossibleLength } from "./Lengths.ts"
import type { PythonRandom } from "./PythonRandom.ts"
import { Tokenizer } from "./Tokenizer.ts"

/**
 * The wanted number of tokens is below the smallest possible one. `row` is the `PromptRequest.id` of the one who wanted it,
 * if it had any.
 *
 * @category reasons
 * @since 0.1.0
 */
export class TooShort extends Schema.TaggedError<TooShort>("llmperf/workload/Prompt/TooShort")("TooShort", {
  inputTokens: Schema.Finite,
  minimumInputTokens: Schema.Int,
  outputTokens: Schema.Int,
  row: Schema.optionalKey(Schema.Int)
}) {
  override get message(): string {
    const place = this.row === undefined ? "" : `Row ${this.row}: `
    return (
      `${place}A prompt of ${this.inputTokens} input tokens is too short: with the instruction that asks for ` +
      `${this.outputTokens} output tokens, the smallest possible value is ${this.minimumInputTokens}`
    )
  }
}

/**
 * All prompts of this length that can be built were already given out. Happens only within a few tokens of the smallest
 * length, where hardly any text fits behind the instruction.
 *
 * @category reasons
 * @since 0.1.0
 */
export class NotDistinct extends Schema.TaggedError<NotDistinct>("llmperf/workload/Prompt/NotDistinct")("NotDistinct", {
  inputTokens: Schema.Int,
  minimumInputTokens: Schema.Int
}) {
  override get message(): string {
    return (
      `No further prompt of ${this.inputTokens} input tokens differs from those before, because the instruction takes ` +
      `nearly all of them: ask for more (the smallest possible value is ${this.minimumInputTokens}), or for fewer requests`
    )
  }
}

/**
 * Prompts can't be built as asked; `reason` says why.
 *
 * @category errors
 * @since 0.1.0
 */
export class PromptError extends Schema.TaggedError<PromptError>("llmperf/workload/Prompt/PromptError")("PromptError", {
  reason: Schema.Union([TooShort, NotDistinct, ImpossibleLength])
}) {
  override get message(): string {
    return this.reason.message
  }
}

/**
 * The instruction that LLMPerf puts before the lines.
 *
 * @category constructors
 * @since 0.1.0
 */
export const header = (outputTokens: number): string =>
  `Randomly stream lines from the following text with ${outputTokens} output tokens. Don't generate eos tokens:\n\n`

/**
 * A prompt as sent. `inputTokens` are the tokens of the final text.
 *
 * @category models
 * @since 0.1.0
 */
export interface Prompt {
  readonly text: string
  readonly inputTokens: number
}

/**
 * A prompt, and whether a builder gave out the same text before.
 *
 * @category models
 * @since 0.2.0
 */
export interface BuiltPrompt extends Prompt {
  readonly repeated: boolean
}

/**
 * What to build: a text of `inputTokens` tokens whose instruction asks for `outputTokens`.
 *
 * `id` is the number of the request, for errors, for the words that the prompt begins with, and for the draws beyond the first order
 * of lines. Without it these depend on how many prompts were built before.
 *
 * @category models
 * @since 0.1.0
 */
export interface PromptRequest {
  readonly inputTokens: number
  readonly outputTokens: number
  readonly id?: number | undefined
}

/**
 * - `repeat`: when no new text of a length is left, give one of that length again and say so (`BuiltPrompt.repeated`)
 *   instead of failing with `NotDistinct`. `false` when left out
 * - `nonceSeed`: an integer; in `exact` mode each prompt then begins with some words (5 to 8) that this seed and the number of the
 *   request decide. Without it all prompts begin with the same instruction, as in `llmperf` mode
 *
 * @category models
 * @since 0.2.0
 */
export interface Options {
  readonly repeat?: boolean | undefined
  readonly nonceSeed?: number | bigint | undefined
}

/**
 * Builds the prompts of one run.
 *
 * - `minimumInputTokens(outputTokens)`: the smallest length that can be asked for. In `exact` mode that is the
 *   instruction and one letter behind it, and the words before it; in `llmperf` mode the instruction with a start token
 * - `build(random, request)`: the next prompt. Draws one shuffle of the lines from the generator
 *
 * @category models
 * @since 0.1.0
 */
export interface PromptBuilder {
  readonly minimumInputTokens: (outputTokens: number) => number
  readonly build: (random: PythonRandom, request: PromptRequest) => Result.Result<BuiltPrompt, PromptError>
}

const failure = (reason: PromptError["reason"]): Result.Result<never, PromptError> =>
  Result.fail(new PromptError({ reason }))

const tooShort = (
  { id, inputTokens, outputTokens }: PromptRequest,
  minimumInputTokens: number
): Result.Result<never, PromptError> =>
  failure(new TooShort({ inputTokens, minimumInputTokens, outputTokens, ...(id === undefined ? {} : { row: id }) }))

const shuffledLines = (random: PythonRandom): Array<number> => {
  const order = [...Corpus.lines.keys()]
  random.shuffle(order)
  return order
}

/**
 * What comes before the lines. `tokens`: of a text of `of`, as nearly as the tokenizer allows; `minimumInputTokens`: of the shortest
 * prompt.
 */
interface Head {
  readonly of: (id: number) => string
  readonly tokens: number
  readonly minimumInputTokens: number
}

const makeHeads = (tokenizer: Tokenizer["Service"], nonceSeed: number | bigint | undefined) => {
  let nonces: Nonces.Nonces | undefined
  const heads = new Map<number, Head>()
  const make = (outputTokens: number): Head => {
    const instruction = header(outputTokens)
    if (nonceSeed !== undefined) nonces ??= Nonces.make(nonceSeed, tokenizer)
    const { of, samples } = nonces ?? { of: () => "", samples: [""] }
    // Some tokenizers make one token of the two newlines at the end of the instruction, and two when text follows. So the
    // smallest length is taken with a letter behind them.
    const counts = samples.map((nonce) => tokenizer.count(`${nonce}${instruction}I`))
    const most = Math.max(...counts)
    return {
      of: (id) => of(id) + instruction,
      tokens: tokenizer.count(`${samples[0]}${instruction}`),
      // Where they are not all of one length, others may be longer still
      minimumInputTokens: 2 * most - Math.min(...counts)
    }
  }
  return (outputTokens: number): Head => {
    const head = heads.get(outputTokens) ?? make(outputTokens)
    heads.set(outputTokens, head)
    return head
  }
}

const makeExact = (tokenizer: Tokenizer["Service"], { nonceSeed, repeat = false }: Options): PromptBuilder => {
  const texts = ExactPrompt.make(tokenizer.count)
  const headOf = makeHeads(tokenizer, nonceSeed)
  let prompts = 0
  return {
    minimumInputTokens: (outputTokens) => headOf(outputTokens).minimumInputTokens,
    build: (random, request) => {
      const { inputTokens, outputTokens } = request
      const order = shuffledLines(random)
      const { minimumInputTokens, of, tokens } = headOf(outputTokens)
      if (inputTokens < minimumInputTokens) return tooShort(request, minimumInputTokens)
      const id = request.id ?? ++prompts
      const head = { text: of(id), tokens }
      const built = texts.build({ head, target: inputTokens, order, random, id, repeat })
      return built === undefined
        ? failure(new NotDistinct({ inputTokens, minimumInputTokens }))
        : Result.succeed({ text: built.text, inputTokens: built.tokens, repeated: built.repeated })
    }
  }
}

// Every digit is a token of its own for Llama. The start token is counted, as LLMPerf does.
const llmperfHeaderTokens = (outputTokens: number): number => 24 + String(outputTokens).length

const makeLlmperf = (tokenizer: Tokenizer["Service"]): PromptBuilder => {
  const given = GivenTexts.make()
  return {
    minimumInputTokens: llmperfHeaderTokens,
    build: (random, request) => {
      const { inputTokens, outputTokens } = request
      const order = shuffledLines(random)
      const minimumInputTokens = llmperfHeaderTokens(outputTokens)
      let left = inputTokens - minimumInputTokens
      if (left < 0) return tooShort(request, minimumInputTokens)
      let text = header(outputTokens)
      for (let index = 0; ; index = (index + 1) % order.length) {
        const line = order[index] ?? 0
        const lineTokens = Corpus.llamaTokens[line] ?? 0
        const lineText = Corpus.lines[line] ?? ""
        if (left < lineTokens) {
          text += lineText.slice(0, left)
          break
        }
        text += lineText
        left -= lineTokens
      }
      const key = given.keyOf(text)
      const repeated = given.has(key)
      if (!repeated) given.add(key)
      return Result.succeed({ text, inputTokens: tokenizer.count(text), repeated })
    }
  }
}

/**
 * A builder for one run.
 *
 * `exact` counts with the given tokenizer. In the rare case that no text of exactly that length is found (a tokenizer
 * in which every word has two tokens, say), the nearest is given and `Prompt.inputTokens` says how long it is.
 * `llmperf` plans with Llama's counts whatever the tokenizer, and uses the given one to count the result. It repeats texts
 * when it comes to that, with `repeat` or without.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (mode: PromptMode, tokenizer: Tokenizer["Service"], options: Options = {}): PromptBuilder =>
  mode === "exact" ? makeExact(tokenizer, options) : makeLlmperf(tokenizer)

/**
 * The smallest mean number of input tokens that can be asked for when answers have `outputTokens` tokens.
 *
 * @category getters
 * @since 0.1.0
 */
export const minimumInputTokens = (
  options: Pick<Options, "nonceSeed"> & {
    readonly outputTokens: number
    readonly promptMode: PromptMode
  }
): Effect.Effect<number, never, Tokenizer> =>
  Effect.map(Tokenizer, (tokenizer) =>
    make(options.promptMode, tokenizer, { nonceSeed: options.nonceSeed }).minimumInputTokens(options.outputTokens)
  )
