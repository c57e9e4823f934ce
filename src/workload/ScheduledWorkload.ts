/**
 * What a replay sends: the rows of a schedule as plans with due times, their prompts built ahead.
 *
 * @since 0.2.0
 */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import type * as Pull from "effect/Pull"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { RequestPlan } from "../domain/RequestPlan.ts"
import type { Schedule } from "../domain/Schedule.ts"
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

const MAXIMUM_PROMPTS = 4_096
const MAXIMUM_TOKENS = 8_000_000
// These may wait even when they are too long together: a due time must not find none.
const FEWEST_PROMPTS = 4

// Some milliseconds of work: after a batch, others get their turn.
const BATCH_PROMPTS = 32
const BATCH_TOKENS = 16_384

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
  const maximumPrompts = Math.max(1, options.maximumPrompts ?? MAXIMUM_PROMPTS)
  const maximumTokens = Math.max(1, options.maximumTokens ?? MAXIMUM_TOKENS)
  const batchPrompts = Math.min(BATCH_PROMPTS, maximumPrompts)
  const batchTokens = Math.min(BATCH_TOKENS, maximumTokens)
  const maker = yield* PromptMaker

  // Rows below `taken` were handed out, those below `built` have a prompt, those below `begun` are being built. The prompt
  // of a row lies at its number modulo the length of the window.
  const slots = Array.from<BuiltPrompt | undefined>({ length: Math.min(maximumPrompts, schedule.length) })
  let taken = 0
  let built = 0
  let begun = 0
  let tokens = 0
  let ended: Exit.Exit<void, PromptError | TokenizerError> | undefined
  const room = Latch.makeUnsafe(true)
  const supply = Latch.makeUnsafe(false)
  const ready = Deferred.makeUnsafe<void, PromptError | TokenizerError>()
  const counts = { plans: 0, inexactPrompts: 0, repeatedPrompts: 0 }

  const tokensOf = (row: number): number => schedule.inputTokens[row] ?? 0
  const batch = { end: 0, tokens: 0 }
  const nextBatch = (): void => {
    batch.end = begun
    batch.tokens = 0
    while (batch.end < schedule.length && batch.end - begun < batchPrompts) {
      const more = tokensOf(batch.end)
      if (batch.end > begun && batch.tokens + more > batchTokens) break
      batch.tokens += more
      batch.end++
    }
  }
  const fits = (): boolean => {
    const prompts = batch.end - taken
    if (prompts > maximumPrompts) return false
    return prompts <= FEWEST_PROMPTS || tokens + batch.tokens <= maximumTokens
  }

  const produce = Effect.gen(function* () {
    while (begun < schedule.length) {
      nextBatch()
      if (!fits()) {
        // Closed first: whoever waits for `ready` may begin to take at once, and open it.
        room.closeUnsafe()
        Deferred.doneUnsafe(ready, Effect.void)
        yield* room.await
      }
      const rows: Array<Row> = []
      for (; begun < batch.end; begun++) rows.push(rowAt(schedule, begun))
      tokens += batch.tokens
      const prompts = yield* maker.build(rows)
      for (const prompt of prompts) slots[built++ % maximumPrompts] = prompt
      yield* supply.open
      yield* Effect.yieldNow
    }
  })

  yield* produce.pipe(
    Effect.onExit((exit) =>
      Effect.sync(() => {
        ended = exit
        Deferred.doneUnsafe(ready, exit)
        supply.openUnsafe()
      })
    ),
    Effect.exit,
    Effect.forkScoped
  )

  const handOut = (prompt: BuiltPrompt): RequestPlan => {
    const row = taken++
    const targetInputTokens = tokensOf(row)
    slots[row % maximumPrompts] = undefined
    tokens -= targetInputTokens
    counts.plans++
    if (prompt.inputTokens !== targetInputTokens) counts.inexactPrompts++
    if (prompt.repeated) counts.repeatedPrompts++
    return {
      id: schedule.id[row] ?? 0,
      dueSeconds: schedule.offsetSeconds[row] ?? 0,
      prompt: prompt.text,
      inputTokens: prompt.inputTokens,
      targetInputTokens,
      outputTokens: schedule.outputTokens[row] ?? 0,
      sampled: sampled === null || sampled[row] !== 0
    }
  }

  // One at a time: what is taken is no longer bounded. The next batch begins when the one who took it lets others run.
  const pull: Pull.Pull<readonly [RequestPlan], PromptError | TokenizerError> = Effect.suspend(() => {
    const prompt = slots[taken % maximumPrompts]
    if (prompt !== undefined) {
      const plan: readonly [RequestPlan] = [handOut(prompt)]
      return !room.isOpen() && fits() ? Effect.as(room.open, plan) : Effect.succeed(plan)
    }
    if (ended !== undefined) return Exit.isSuccess(ended) ? Cause.done() : Effect.failCause(ended.cause)
    supply.closeUnsafe()
    return Effect.andThen(supply.await, pull)
  })

  return {
    plans: Stream.fromPull(Effect.succeed(pull)),
    ready: Deferred.await(ready),
    waiting: () => ({ prompts: begun - taken, tokens }),
    counts
  }
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
