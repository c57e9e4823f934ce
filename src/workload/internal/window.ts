/** Plans that are built ahead of those who take them, but never too many. */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import type * as Pull from "effect/Pull"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { RequestPlan } from "../../domain/RequestPlan.ts"
import type { PromptError } from "../Prompt.ts"
import type { TokenizerError } from "../Tokenizer.ts"

/** How much may wait: 4,096 prompts and 8,000,000 tokens unless told otherwise. */
export interface Bounds {
  readonly maximumPrompts?: number | undefined
  readonly maximumTokens?: number | undefined
}

export interface Size {
  readonly prompts: number
  readonly tokens: number
}

type Failure = PromptError | TokenizerError

/**
 * - `next(most)`: what the next batch takes of the window at most, itself at most `most` or one prompt of any length; `null` when all
 *   have been built
 * - `build(size)`: builds the batch of which `next` told
 * - `taken(built)`: called as a plan is handed out
 */
export interface Source<Built extends { readonly plan: RequestPlan }> {
  readonly next: (most: Size) => Size | null
  readonly build: (size: Size) => Effect.Effect<ReadonlyArray<Built>, Failure>
  readonly taken: (built: Built) => void
}

/**
 * - `plans`: every plan once, in order, from those that wait. To be run once. When a batch can't be built, the stream fails after the
 *   last one before it
 * - `ready`: ends when as many wait as may, or all are built. Fails when a batch can't be built before that
 * - `waiting()`: how many wait now, or are being built, and their tokens
 */
export interface Window {
  readonly plans: Stream.Stream<RequestPlan, Failure>
  readonly ready: Effect.Effect<void, Failure>
  readonly waiting: () => Size
}

const MAXIMUM_PROMPTS = 4_096
const MAXIMUM_TOKENS = 8_000_000
// These may wait even when they are too long together: whoever takes one must not find none.
const FEWEST_PROMPTS = 4

// Some milliseconds of work: after a batch, others get their turn.
const BATCH_PROMPTS = 32
const BATCH_TOKENS = 16_384

/** Begins to build in a fiber that ends with the scope, and goes on as plans are taken. A plan is let go of when it is handed out. */
export const make = Effect.fnUntraced(function* <Built extends { readonly plan: RequestPlan }>(
  source: Source<Built>,
  bounds: Bounds
): Effect.fn.Return<Window, never, Scope.Scope> {
  const maximumPrompts = Math.max(1, bounds.maximumPrompts ?? MAXIMUM_PROMPTS)
  const maximumTokens = Math.max(1, bounds.maximumTokens ?? MAXIMUM_TOKENS)
  const most: Size = {
    prompts: Math.min(BATCH_PROMPTS, maximumPrompts),
    tokens: Math.min(BATCH_TOKENS, maximumTokens)
  }

  // A plan lies at its place in the order modulo the length of the window.
  const slots: Array<Built | undefined> = []
  let taken = 0
  let built = 0
  let prompts = 0
  let tokens = 0
  let batch = source.next(most)
  let ended: Exit.Exit<void, Failure> | undefined
  const room = Latch.makeUnsafe(true)
  const supply = Latch.makeUnsafe(false)
  const ready = Deferred.makeUnsafe<void, Failure>()

  const fits = (more: Size): boolean => {
    if (prompts + more.prompts > maximumPrompts) return false
    return prompts + more.prompts <= FEWEST_PROMPTS || tokens + more.tokens <= maximumTokens
  }

  const produce = Effect.gen(function* () {
    while (batch !== null) {
      const size: Size = batch
      if (!fits(size)) {
        // Closed first: whoever waits for `ready` may begin to take at once, and open it.
        room.closeUnsafe()
        Deferred.doneUnsafe(ready, Effect.void)
        yield* room.await
      }
      prompts += size.prompts
      tokens += size.tokens
      const more = yield* source.build(size)
      prompts += more.length - size.prompts
      tokens -= size.tokens
      for (const each of more) {
        tokens += each.plan.targetInputTokens
        slots[built++ % maximumPrompts] = each
      }
      batch = source.next(most)
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

  const handOut = (each: Built): RequestPlan => {
    slots[taken++ % maximumPrompts] = undefined
    prompts--
    tokens -= each.plan.targetInputTokens
    source.taken(each)
    return each.plan
  }

  // One at a time: what is taken is no longer bounded. The next batch begins when the one who took it lets others run.
  const pull: Pull.Pull<readonly [RequestPlan], Failure> = Effect.suspend(() => {
    const each = slots[taken % maximumPrompts]
    if (each !== undefined) {
      const plan: readonly [RequestPlan] = [handOut(each)]
      return !room.isOpen() && batch !== null && fits(batch) ? Effect.as(room.open, plan) : Effect.succeed(plan)
    }
    if (ended !== undefined) return Exit.isSuccess(ended) ? Cause.done() : Effect.failCause(ended.cause)
    supply.closeUnsafe()
    return Effect.andThen(supply.await, pull)
  })

  return {
    plans: Stream.fromPull(Effect.succeed(pull)),
    ready: Deferred.await(ready),
    waiting: () => ({ prompts, tokens })
  }
})
