/** The plans of a closed loop one after the other, on whichever thread. */
import * as Result from "effect/Result"
import type { RequestPlan } from "../../domain/RequestPlan.ts"
import type { PromptMode } from "../../domain/RunConfig.ts"
import * as Lengths from "../Lengths.ts"
import * as Prompt from "../Prompt.ts"
import * as PythonRandom from "../PythonRandom.ts"
import type { Tokenizer } from "../Tokenizer.ts"

/**
 * `samePrompts`: whether every run may begin its prompts alike, with the instruction; see `Prompt.Options`. `false` when left out
 */
export interface Options {
  readonly count: number
  readonly seed: number | bigint
  readonly meanInputTokens: number
  readonly stddevInputTokens: number
  readonly meanOutputTokens: number
  readonly stddevOutputTokens: number
  readonly promptMode: PromptMode
  readonly samePrompts?: boolean | undefined
}

/** A plan, and how many lengths were thrown away for it. */
export interface BuiltPlan {
  readonly plan: RequestPlan
  readonly redrawnInputTokens: number
  readonly redrawnOutputTokens: number
}

/** At most `prompts` plans from number `from` on, and beyond the first only as long as they have no more than `tokens` together. */
export interface Ask {
  readonly from: number
  readonly prompts: number
  readonly tokens: number
}

/** `nextTokens`: the input tokens of the plan that comes after these; `null` when there is none. */
export interface Batch {
  readonly plans: ReadonlyArray<BuiltPlan>
  readonly nextTokens: number | null
}

interface Drawn {
  readonly inputTokens: number
  readonly outputTokens: number
  readonly redrawnInputTokens: number
  readonly redrawnOutputTokens: number
}

type Attempt<A> = Result.Result<A, Prompt.PromptError>

// How many other lengths are tried when no new text is left at the one drawn.
const MAXIMUM_LENGTHS = 100

const wrong = (reason: Prompt.PromptError["reason"]) => Result.fail(new Prompt.PromptError({ reason }))

/**
 * Draws and builds one plan after the other. The order of draws is LLMPerf's: for each request the output length, the input length,
 * the order of the lines. So `build` must come between one `draw` and the next.
 */
const makeSequence = (options: Options, tokenizer: Tokenizer["Service"]) => {
  const { promptMode, samePrompts = false, seed } = options
  const random = PythonRandom.make(seed)
  const builder = Prompt.make(promptMode, tokenizer, { nonceSeed: samePrompts ? undefined : seed })
  const input = { mean: options.meanInputTokens, stddev: options.stddevInputTokens }
  const output = { mean: options.meanOutputTokens, stddev: options.stddevOutputTokens }

  // A mean below the smallest prompt would leave only the upper end of the distribution.
  const drawInput = (from: PythonRandom.PythonRandom, outputTokens: number): Attempt<Lengths.Draw> => {
    const minimumInputTokens = builder.minimumInputTokens(outputTokens)
    return input.mean < minimumInputTokens
      ? wrong(new Prompt.TooShort({ inputTokens: input.mean, minimumInputTokens, outputTokens }))
      : Result.mapError(Lengths.draw(from, input, minimumInputTokens), (reason) => new Prompt.PromptError({ reason }))
  }

  const draw = (): Attempt<Drawn> => {
    const answer = Lengths.positiveInt(random, output)
    if (Result.isFailure(answer)) return wrong(answer.failure)
    const outputTokens = answer.success.tokens
    return Result.map(drawInput(random, outputTokens), ({ redrawn, tokens }) => ({
      inputTokens: tokens,
      outputTokens,
      redrawnInputTokens: redrawn,
      redrawnOutputTokens: answer.success.redrawn
    }))
  }

  const build = (id: number, drawn: Drawn): Attempt<BuiltPlan> => {
    const { outputTokens, redrawnOutputTokens } = drawn
    let { inputTokens, redrawnInputTokens } = drawn
    let prompt = builder.build(random, { inputTokens, outputTokens })
    for (let tries = 0; Result.isFailure(prompt) && tries < MAXIMUM_LENGTHS; tries++) {
      if (prompt.failure.reason._tag !== "NotDistinct" || input.stddev === 0) break
      // The main draws stay in step with LLMPerf's: other lengths come from a fork.
      const spare = random.fork(`request ${id} length ${tries}`)
      const other = drawInput(spare, outputTokens)
      if (Result.isFailure(other)) return Result.fail(other.failure)
      inputTokens = other.success.tokens
      redrawnInputTokens += other.success.redrawn + 1
      prompt = builder.build(spare, { inputTokens, outputTokens })
    }
    return Result.map(prompt, ({ inputTokens: counted, text }) => ({
      plan: {
        id,
        dueSeconds: null,
        sampled: true,
        prompt: text,
        inputTokens: counted,
        targetInputTokens: inputTokens,
        outputTokens
      },
      redrawnInputTokens,
      redrawnOutputTokens
    }))
  }

  return { draw, build }
}

/** Throws what the tokenizer throws. */
export interface Planner {
  /** The same plans whatever was asked before; quick when it goes on where the last batch ended. */
  readonly build: (ask: Ask) => Attempt<Batch>
}

export const make = (options: Options, tokenizer: Tokenizer["Service"]): Planner => {
  const start = () => ({ ...makeSequence(options, tokenizer), id: 1 })
  let sequence = start()
  // The lengths of the next plan
  let drawn: Attempt<Drawn> | undefined

  const restart = (): void => {
    sequence = start()
    drawn = undefined
  }

  const next = (): Attempt<BuiltPlan> => {
    const lengths = (drawn ??= sequence.draw())
    if (Result.isFailure(lengths)) return Result.fail(lengths.failure)
    drawn = undefined
    return sequence.build(sequence.id++, lengths.success)
  }

  const nextTokens = (): number | null => {
    if (sequence.id > options.count) return null
    drawn ??= sequence.draw()
    // A failure is told when it is its turn
    return Result.isSuccess(drawn) ? drawn.success.inputTokens : 0
  }

  const gather = ({ from, prompts, tokens }: Ask): Attempt<Batch> => {
    if (from !== sequence.id) restart()
    while (sequence.id < from) {
      const skipped = next()
      if (Result.isFailure(skipped)) return Result.fail(skipped.failure)
    }
    const plans: Array<BuiltPlan> = []
    let sum = 0
    while (plans.length < prompts) {
      const more = nextTokens()
      if (more === null || (plans.length > 0 && sum + more > tokens)) break
      const built = next()
      if (Result.isFailure(built)) return Result.fail(built.failure)
      plans.push(built.success)
      sum += built.success.plan.targetInputTokens
    }
    return Result.succeed({ plans, nextTokens: nextTokens() })
  }

  return {
    build: (ask) => {
      const batch = gather(ask)
      // What was drawn for it is lost
      if (Result.isFailure(batch)) restart()
      return batch
    }
  }
}
