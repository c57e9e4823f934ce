/**
 * What a replay sends: the rows of a schedule as plans with due times, their prompts built ahead.
 *
 * @since 0.2.0
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { RequestPlan } from "../domain/RequestPlan.ts"
import type { Schedule } from "../domain/Schedule.ts"
import * as Window from "./internal/window.ts"
import { blocksOf } from "./PrefixPrompt.ts"
import { type BuiltPrompt, PromptError, TooShort } from "./Prompt.ts"
import { PromptMaker, type Row } from "./PromptMaker.ts"
import type { TokenizerError } from "./Tokenizer.ts"

/**
 * - `schedule`: its rows, in their order, become plans
 * - `sampled`: a number for each row, 0 for those that are not measured; `null` when all are
 * - `maximumPrompts`: how many prompts wait at most; 4,096 when left out
 * - `maximumTokens`: how many tokens they have together at most, about 5 bytes each; 8,000,000 when left out. Up to four
 *   prompts wait whatever their length
 *
 * @category models
 * @since 0.2.0
 */
export interface Options {
  readonly schedule: Schedule
  readonly sampled: Uint8Array | null
  readonly maximumPrompts?: number | undefined
  readonly maximumTokens?: number | undefined
}

/**
 * What became of the rows that were handed out so far; changes as they are.
 *
 * - `plans`: how many
 * - `inexactPrompts`: those whose `inputTokens` are not their `targetInputTokens`
 * - `repeatedPrompts`: those whose text came before because no other was left at their length
 *
 * @category models
 * @since 0.2.0
 */
export interface Counts {
  readonly plans: number
  readonly inexactPrompts: number
  readonly repeatedPrompts: number
}

/**
 * - `plans`: every row once, in the order of the schedule, from the prompts that wait. To be run once. When a prompt can't be
 *   built, the stream fails after the last one before it
 * - `ready`: ends when as many prompts wait as may, or all are built. Wait for it before the clock of the run starts. Fails
 *   when a prompt can't be built before that
 * - `waiting()`: how many prompts wait now, or are being built, and their tokens
 * - `counts`: live
 *
 * @category models
 * @since 0.2.0
 */
export interface ScheduledWorkload {
  readonly plans: Stream.Stream<RequestPlan, PromptError | TokenizerError>
  readonly ready: Effect.Effect<void, PromptError | TokenizerError>
  readonly waiting: () => { readonly prompts: number; readonly tokens: number }
  readonly counts: Counts
}

const hasBlocks = ({ prefix }: Schedule, row: number): boolean =>
  prefix !== null && (prefix.start[row + 1] ?? 0) > (prefix.start[row] ?? 0)

const rowAt = (schedule: Schedule, row: number): Row => ({
  id: schedule.id[row] ?? 0,
  inputTokens: schedule.inputTokens[row] ?? 0,
  outputTokens: schedule.outputTokens[row] ?? 0,
  // An array of its own: a part of the column would take all of it along to another thread.
  blocks: hasBlocks(schedule, row) ? Array.from(blocksOf(schedule.prefix, row)) : null
})

/**
 * Begins to build prompts, batch by batch, in a fiber that ends with the scope, and goes on as they are taken. Rows that have
 * not come into the window take nothing but their columns, and a prompt is let go of when it is handed out.
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = Effect.fn("ScheduledWorkload.make")(function* (
  options: Options
): Effect.fn.Return<ScheduledWorkload, never, PromptMaker | Scope.Scope> {
  const { sampled, schedule } = options
  const maker = yield* PromptMaker
  const counts = { plans: 0, inexactPrompts: 0, repeatedPrompts: 0 }
  // Rows below are built, or are being built
  let begun = 0

  const planOf = (row: number, { inputTokens, repeated, text }: BuiltPrompt) => ({
    plan: {
      id: schedule.id[row] ?? 0,
      dueSeconds: schedule.offsetSeconds[row] ?? 0,
      prompt: text,
      inputTokens,
      targetInputTokens: schedule.inputTokens[row] ?? 0,
      outputTokens: schedule.outputTokens[row] ?? 0,
      sampled: sampled === null || sampled[row] !== 0
    },
    repeated
  })
  const source: Window.Source<ReturnType<typeof planOf>> = {
    next: (most) => {
      let prompts = 0
      let tokens = 0
      while (begun + prompts < schedule.length && prompts < most.prompts) {
        const more = schedule.inputTokens[begun + prompts] ?? 0
        if (prompts > 0 && tokens + more > most.tokens) break
        tokens += more
        prompts++
      }
      return prompts === 0 ? null : { prompts, tokens }
    },
    build: ({ prompts }) => {
      const first = begun
      begun += prompts
      const rows = Array.from({ length: prompts }, (_, i) => rowAt(schedule, first + i))
      return Effect.map(maker.build(rows), (built) => built.map((prompt, i) => planOf(first + i, prompt)))
    },
    taken: ({ plan, repeated }) => {
      counts.plans++
      if (plan.inputTokens !== plan.targetInputTokens) counts.inexactPrompts++
      if (repeated) counts.repeatedPrompts++
    }
  }
  return { ...(yield* Window.make(source, options)), counts }
})

/**
 * Checks, before anything is sent, that every row is long enough for the instruction that asks for its output tokens; rows
 * whose prompts are made of prefix blocks need none. Fails with `TooShort` for the first that is not, which is named.
 *
 * @category checking
 * @since 0.2.0
 */
export const check = Effect.fn("ScheduledWorkload.check")(function* (
  schedule: Schedule
): Effect.fn.Return<void, PromptError | TokenizerError, PromptMaker> {
  const maker = yield* PromptMaker
  const lengths = [...new Set(schedule.outputTokens)]
  const minimums = yield* maker.minimumInputTokens(lengths)
  const minimumOf = new Map(lengths.map((outputTokens, i) => [outputTokens, minimums[i] ?? 0]))
  for (const [row, inputTokens] of schedule.inputTokens.entries()) {
    const outputTokens = schedule.outputTokens[row] ?? 0
    const minimumInputTokens = minimumOf.get(outputTokens) ?? 0
    if (inputTokens >= minimumInputTokens || (maker.blockTokens !== null && hasBlocks(schedule, row))) continue
    return yield* new PromptError({
      reason: new TooShort({ inputTokens, minimumInputTokens, outputTokens, row: schedule.id[row] ?? 0 })
    })
  }
})
