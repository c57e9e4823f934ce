import { assert, describe, it } from "@effect/vitest"
import type * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { type RequestPlan } from "../../../src/domain/RequestPlan.ts"
import * as PlanSource from "../../../src/engine/internal/planSource.ts"
import * as Scripted from "../scriptedProvider.ts"

const idOf = (plan: RequestPlan | null | undefined) => (plan === null || plan === undefined ? plan : plan.id)

const queued = Effect.gen(function* () {
  const queue = yield* Queue.unbounded<RequestPlan, Cause.Done>()
  return { queue, plans: Stream.fromQueue(queue) }
})

describe("PlanSource", () => {
  it.effect("hands out a list to its end", () =>
    Effect.gen(function* () {
      const source = yield* PlanSource.make(Scripted.plans(2), Effect.never)
      assert.strictEqual(idOf(yield* source.poll), 1)
      assert.strictEqual(idOf(yield* source.next), 2)
      assert.isNull(yield* source.next)
      assert.isNull(yield* source.poll)
    }).pipe(Effect.scoped)
  )

  it.effect("says when the next plan of a stream must be waited for, and wakes all who wait, each with one", () =>
    Effect.gen(function* () {
      const { plans, queue } = yield* queued
      const source = yield* PlanSource.make(plans, Effect.never)
      assert.isUndefined(yield* source.poll)
      const waiting = yield* Effect.forEach([1, 2, 3], () => Effect.forkChild(source.next))
      yield* Effect.yieldNow
      yield* Queue.offerAll(queue, Scripted.plans(2))
      yield* Queue.end(queue)
      const got = yield* Effect.forEach(waiting, Fiber.join)
      assert.sameMembers(got.map(idOf), [1, 2, null])
      assert.isNull(yield* source.poll)
      yield* source.failure
    }).pipe(Effect.scoped)
  )

  it.effect("needs no waiting for plans that are there", () =>
    Effect.gen(function* () {
      const { plans, queue } = yield* queued
      yield* Queue.offerAll(queue, Scripted.plans(3))
      const source = yield* PlanSource.make(plans, Effect.never)
      assert.deepStrictEqual((yield* Effect.all([source.poll, source.poll, source.poll, source.poll])).map(idOf), [
        1,
        2,
        3,
        undefined
      ])
    }).pipe(Effect.scoped)
  )

  it.effect("ends for those who wait when it is over, and for nobody else", () =>
    Effect.gen(function* () {
      const over = yield* Deferred.make<void>()
      const { plans, queue } = yield* queued
      const source = yield* PlanSource.make(plans, Deferred.await(over))
      const waiting = yield* Effect.forkChild(source.next)
      yield* Deferred.succeed(over, undefined)
      assert.isNull(yield* Fiber.join(waiting))
      yield* Queue.offer(queue, Scripted.plan(7))
      yield* Effect.yieldNow
      assert.strictEqual(idOf(yield* source.poll), 7)
    }).pipe(Effect.scoped)
  )

  it.effect("ends with the failure of the stream, which it tells when it is asked", () =>
    Effect.gen(function* () {
      const source = yield* PlanSource.make(
        Stream.concat(Stream.fromIterable(Scripted.plans(1)), Stream.fail("no more text")),
        Effect.never
      )
      assert.strictEqual(idOf(yield* source.next), 1)
      assert.isNull(yield* source.next)
      assert.strictEqual(yield* Effect.flip(source.failure), "no more text")
    }).pipe(Effect.scoped)
  )
})
