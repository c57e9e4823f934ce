/** One stream for several sinks. */
import type * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Pull from "effect/Pull"
import type * as Scope from "effect/Scope"
import * as Sink from "effect/Sink"

/** A sink that is given batches from outside. `give` ends when it has asked for the next one, or has enough; `end` with its result. */
const feed = Effect.fnUntraced(function* <A, In>(sink: Sink.Sink<A, In>, scope: Scope.Scope) {
  const given = Latch.makeUnsafe(false)
  const isReady = Latch.makeUnsafe(false)
  let batch: Arr.NonEmptyReadonlyArray<In> | null = null
  let isBusy = false
  let isDone = false
  const upstream: Pull.Pull<Arr.NonEmptyReadonlyArray<In>> = Effect.suspend(() => {
    if (isBusy) {
      isBusy = false
      isReady.openUnsafe()
    }
    return Effect.andThen(
      given.await,
      Effect.suspend(() => {
        if (batch === null) return Cause.done()
        const taken = batch
        batch = null
        isBusy = true
        given.closeUnsafe()
        return Effect.succeed(taken)
      })
    )
  })
  const fiber = yield* sink.transform(upstream, scope).pipe(
    Effect.ensuring(
      Effect.sync(() => {
        isDone = true
        isReady.openUnsafe()
      })
    ),
    Effect.forkIn(scope, { startImmediately: true })
  )
  return {
    give: (next: Arr.NonEmptyReadonlyArray<In>) =>
      Effect.suspend(() => {
        if (isDone) return Effect.void
        batch = next
        isReady.closeUnsafe()
        given.openUnsafe()
        return isReady.await
      }),
    end: Effect.suspend(() => {
      given.openUnsafe()
      return Fiber.join(fiber)
    })
  }
})

/**
 * All the sinks as one: each batch goes to one after the other, and only when all are done with it, or have enough, the next is
 * pulled. Its result is that of the last one.
 *
 * `Stream.tapSink` is not the same: it hands a batch on as soon as the sink has taken it.
 */
export const inTurn = <A, In>(sinks: ReadonlyArray<Sink.Sink<unknown, In>>, last: Sink.Sink<A, In>): Sink.Sink<A, In> =>
  Sink.fromTransform((upstream, scope) =>
    Effect.gen(function* () {
      const others = yield* Effect.forEach(sinks, (sink) => feed(sink, scope))
      const result = yield* feed(last, scope)
      const all = [...others, result]
      const exit = yield* Effect.flatMap(upstream, (batch) =>
        Effect.forEach(all, ({ give }) => give(batch), { discard: true })
      ).pipe(
        Effect.forever({ disableYield: true }),
        Pull.catchDone(() => Effect.void),
        Effect.exit
      )
      // Also when the stream fails: what a sink does at the end it does with what it was given
      yield* Effect.forEach(others, ({ end }) => end, { discard: true })
      if (Exit.isFailure(exit)) return yield* Effect.failCause(exit.cause)
      const [value] = yield* result.end
      return [value] as const
    })
  )
