import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as LlmError from "../../src/domain/LlmError.ts"
import { type RequestPlan } from "../../src/domain/RequestPlan.ts"
import * as RequestsLauncher from "../../src/engine/RequestsLauncher.ts"
import { Provider } from "../../src/provider/Provider.ts"
import { TokenCounter } from "../../src/workload/TokenCounter.ts"
import { TokenizerError } from "../../src/workload/Tokenizer.ts"
import * as Scripted from "./scriptedProvider.ts"

/** Counts words. */
const counter = TokenCounter.of({
  name: "words",
  count: (text) =>
    text.includes("uncountable")
      ? Effect.fail(new TokenizerError({ tokenizer: "words", description: "uncountable" }))
      : Effect.succeed(text.split(" ").filter((word) => word !== "").length)
})

type Script = (plan: RequestPlan) => ReadonlyArray<Scripted.Step>

const usual: Script = (plan) => Scripted.answer({ ttft: 100, gap: 20, words: plan.outputTokens })

/** A launcher in a scope that the test closes, and how many requests its provider had open at once. */
const start = Effect.fnUntraced(function* (options: RequestsLauncher.Options, script: Script = usual) {
  const { log, provider } = yield* Scripted.make(script)
  const open = { now: 0, most: 0 }
  const watched = Provider.of({
    ...provider,
    stream: (plan) =>
      Stream.suspend(() => {
        open.most = Math.max(open.most, ++open.now)
        return provider.stream(plan)
      }).pipe(Stream.ensuring(Effect.sync(() => open.now--)))
  })
  const scope = yield* Scope.make()
  const launcher = yield* RequestsLauncher.make(options).pipe(
    Effect.provideService(Provider, watched),
    Effect.provideService(TokenCounter, counter),
    Scope.provide(scope)
  )
  return { launcher, log, open, close: Scope.close(scope, Exit.void) }
})

const refusal = (exit: Exit.Exit<unknown, unknown>): string => {
  const error = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
  assert.instanceOf(error, RequestsLauncher.LaunchRefused)
  return error.reason
}

const ids = (results: ReadonlyArray<RequestsLauncher.Result>): ReadonlyArray<number> =>
  results.map(({ record }) => record.request_id)

describe("RequestsLauncher", () => {
  it.effect("launches a request and gives its row and its text", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust(1_000)
      const { launcher } = yield* start({ concurrency: 1, xRequestId: ({ id }) => `mine-${id}` })
      yield* TestClock.adjust(500)
      assert.strictEqual(yield* launcher.launch({ prompt: "one two three", outputTokens: 4 }), 1)
      const next = yield* Effect.forkChild(launcher.next)
      yield* TestClock.adjust(159)
      assert.isUndefined(next.pollUnsafe())
      yield* TestClock.adjust(1)
      const { record, text } = yield* Fiber.join(next)
      assert.strictEqual(text, "word word word word")
      assert.deepInclude(record, {
        error_code: null,
        request_id: 1,
        x_request_id: "mine-1",
        number_input_tokens: 3,
        target_input_tokens: 3,
        target_output_tokens: 4,
        number_output_tokens: 4,
        number_chunks: 4,
        ttft_s: 0.1,
        end_to_end_latency_s: 0.16,
        intended_offset_s: 0.5,
        dispatch_lag_s: 0,
        start_time: 1.5,
        sampled: true
      })
    })
  )

  it.effect("takes the number of input tokens that it is given, and any plan", () =>
    Effect.gen(function* () {
      const { launcher } = yield* start({ concurrency: 2 })
      const plan: RequestPlan = { ...Scripted.plan(77), inputTokens: 8, targetInputTokens: 9, dueSeconds: 5 }
      yield* launcher.launch(plan)
      yield* launcher.launch({ prompt: "one", inputTokens: 12 })
      yield* launcher.end
      yield* TestClock.adjust(200)
      const rows = (yield* Stream.runCollect(launcher.results))
        .map(({ record }) => record)
        .toSorted((a, b) => a.request_id - b.request_id)
      assert.deepStrictEqual(
        rows.map((row) => [
          row.request_id,
          row.number_input_tokens,
          row.target_input_tokens,
          row.target_output_tokens,
          row.x_request_id
        ]),
        [
          [1, 8, 9, 4, null],
          [2, 12, 12, null, null]
        ]
      )
    })
  )

  it.effect("lets launches wait for a place, in their order, and gives results as they finish", () =>
    Effect.gen(function* () {
      const millis = [50, 20, 40, 10, 5]
      const { launcher, log, open } = yield* start({ concurrency: 2 }, ({ id }) => [
        Scripted.sent,
        Scripted.wait(millis[id - 1] ?? 0),
        Scripted.ended
      ])
      const launched: Array<number> = []
      const launching = yield* Effect.forkChild(
        Effect.forEach(millis, () =>
          Effect.map(launcher.launch({ prompt: "a" }), (id) => {
            launched.push(id)
          })
        ).pipe(Effect.andThen(launcher.end))
      )
      const collecting = yield* Effect.forkChild(Stream.runCollect(launcher.results))
      yield* TestClock.adjust(19)
      assert.deepStrictEqual(launched, [1, 2])
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(launched, [1, 2, 3])
      yield* TestClock.adjust(200)
      yield* Fiber.join(launching)
      assert.deepStrictEqual(
        log.opened.map(({ at }) => at),
        [0, 0, 20, 50, 60]
      )
      const results = yield* Fiber.join(collecting)
      assert.deepStrictEqual(
        log.closed.map(({ at }) => at),
        [20, 50, 60, 60, 65]
      )
      assert.strictEqual(ids(results)[0], 2)
      assert.deepStrictEqual(ids(results).toSorted(), [1, 2, 3, 4, 5])
      assert.strictEqual(open.most, 2)
      // A request is due when it has its place: waiting for one is no lag of the client.
      assert.deepStrictEqual(
        results.map(({ record }) => record.dispatch_lag_s),
        [0, 0, 0, 0, 0]
      )
    })
  )

  it.effect("refuses to launch at once what has no place, and says so", () =>
    Effect.gen(function* () {
      const { launcher, log } = yield* start({ concurrency: 2 })
      const launchNow = launcher.launchNow({ prompt: "now", outputTokens: 1 })
      assert.strictEqual(yield* launchNow, 1)
      assert.strictEqual(yield* launchNow, 2)
      const refused = yield* Effect.exit(launchNow)
      assert.strictEqual(refusal(refused), "full")
      yield* TestClock.adjust(100)
      assert.strictEqual(yield* launchNow, 3)
      yield* launcher.end
      yield* TestClock.adjust(100)
      assert.deepStrictEqual(ids(yield* Stream.runCollect(launcher.results)).toSorted(), [1, 2, 3])
      assert.lengthOf(log.opened, 3)
    })
  )

  it.effect("does not overtake a launch that waits", () =>
    Effect.gen(function* () {
      const { launcher } = yield* start({ concurrency: 1 })
      yield* launcher.launch({ prompt: "first", outputTokens: 1 })
      const waiting = yield* Effect.forkChild(launcher.launch({ prompt: "second", outputTokens: 1 }))
      yield* TestClock.adjust(100)
      assert.strictEqual(yield* Fiber.join(waiting), 2)
      assert.strictEqual(refusal(yield* Effect.exit(launcher.launchNow({ prompt: "third" }))), "full")
    })
  )

  it.effect("fails to launch what it cannot count, and takes no place for it", () =>
    Effect.gen(function* () {
      const { launcher, log } = yield* start({ concurrency: 1 })
      const failed = yield* Effect.flip(launcher.launch({ prompt: "uncountable" }))
      assert.instanceOf(failed, TokenizerError)
      assert.strictEqual(yield* launcher.launchNow({ prompt: "fine", outputTokens: 1 }), 1)
      assert.lengthOf(log.opened, 1)
    })
  )

  it.effect("has a result for every failure", () =>
    Effect.gen(function* () {
      const uncounted: Array<string> = []
      const { launcher } = yield* start(
        { concurrency: 3, requestTimeoutSeconds: 1, onUncounted: ({ description }) => uncounted.push(description) },
        ({ prompt }) => {
          switch (prompt) {
            case "limit":
              return [
                Scripted.sent,
                Scripted.fail(new LlmError.RateLimited({ status: 429, body: "", retryAfterSeconds: 7 }))
              ]
            case "slow":
              return [Scripted.sent, Scripted.text("half"), Scripted.hang]
            default:
              return [Scripted.sent, Scripted.text("uncountable"), Scripted.ended]
          }
        }
      )
      for (const prompt of ["limit", "slow", "odd"]) yield* launcher.launch({ prompt, inputTokens: 1 })
      yield* launcher.end
      yield* TestClock.adjust(1_000)
      const results = (yield* Stream.runCollect(launcher.results)).toSorted(
        (a, b) => a.record.request_id - b.record.request_id
      )
      assert.deepStrictEqual(
        results.map(({ record, text }) => [record.error_code, record.number_output_tokens, text]),
        [
          [429, 0, ""],
          ["timeout_total", 1, "half"],
          [null, null, "uncountable"]
        ]
      )
      assert.deepStrictEqual(uncounted, ["uncountable"])
    })
  )

  it.effect("gives up a place in line when the launch is interrupted, and nothing once it has started", () =>
    Effect.gen(function* () {
      const { launcher, log } = yield* start({ concurrency: 1 })
      const launch = launcher.launch({ prompt: "a", outputTokens: 1 })
      const first = yield* Effect.forkChild(launch)
      const second = yield* Effect.forkChild(launch)
      const third = yield* Effect.forkChild(launch)
      yield* TestClock.adjust(50)
      yield* Fiber.interrupt(second)
      yield* Fiber.interrupt(first)
      yield* launcher.end
      yield* TestClock.adjust(150)
      assert.strictEqual(yield* Fiber.join(third), 2)
      assert.deepStrictEqual(ids(yield* Stream.runCollect(launcher.results)), [1, 2])
      assert.lengthOf(log.opened, 2)
    })
  )

  it.effect("cancels what is in flight, refuses what waits, and goes on", () =>
    Effect.gen(function* () {
      const { launcher, log, open } = yield* start({ concurrency: 1 })
      yield* launcher.launch({ prompt: "first", outputTokens: 9 })
      const waiting = yield* Effect.forkChild(launcher.launch({ prompt: "second" }))
      yield* TestClock.adjust(130)
      yield* launcher.cancel
      assert.strictEqual(refusal(yield* Fiber.await(waiting)), "cancelled")
      assert.strictEqual(open.now, 0)
      assert.deepStrictEqual(log.closed, [{ id: 1, at: 130 }])
      const { record, text } = yield* launcher.next
      assert.deepInclude(record, {
        error_code: "cancelled",
        error_msg: "Cancelled: the launcher was told to cancel",
        // No answer has decided yet whose count leads
        token_source: null,
        number_output_tokens: null,
        tokenizer_output_tokens: 2
      })
      assert.strictEqual(text, "word word")
      yield* launcher.launch({ prompt: "third", outputTokens: 1 })
      yield* launcher.end
      yield* TestClock.adjust(100)
      assert.deepStrictEqual(
        (yield* Stream.runCollect(launcher.results)).map((result) => result.record.error_code),
        [null]
      )
    })
  )

  it.effect("cancels everything when its scope closes, and keeps the results", () =>
    Effect.gen(function* () {
      const { close, launcher, open } = yield* start({ concurrency: 2 }, ({ prompt }) =>
        prompt === "short"
          ? Scripted.answer({ ttft: 10, gap: 1, words: 1 })
          : Scripted.answer({ ttft: 50, gap: 50, words: 5 })
      )
      yield* launcher.launch({ prompt: "short" })
      yield* launcher.launch({ prompt: "long" })
      yield* TestClock.adjust(10)
      yield* launcher.launch({ prompt: "long" })
      const waiting = yield* Effect.forkChild(launcher.launch({ prompt: "long" }))
      yield* TestClock.adjust(60)
      yield* close
      assert.strictEqual(open.now, 0)
      assert.strictEqual(refusal(yield* Fiber.await(waiting)), "ended")
      assert.strictEqual(refusal(yield* Effect.exit(launcher.launch({ prompt: "late" }))), "ended")
      const results = yield* Stream.runCollect(launcher.results)
      assert.deepStrictEqual(
        results.map(({ record, text }) => [record.request_id, record.error_code, text]).toSorted(),
        [
          [1, null, "word"],
          [2, "cancelled", "word"],
          [3, "cancelled", "word"]
        ]
      )
      assert.strictEqual(results[2]?.record.error_msg, "Cancelled: the launcher was closed")
    })
  )

  it.effect("ends without anything launched, and takes nothing afterwards", () =>
    Effect.gen(function* () {
      const { launcher, log } = yield* start({ concurrency: 1 })
      const next = yield* Effect.forkChild(launcher.next)
      yield* launcher.end
      yield* launcher.end
      assert.isTrue(Cause.isDone(yield* Effect.flip(Fiber.join(next))))
      assert.deepStrictEqual(yield* Stream.runCollect(launcher.results), [])
      assert.strictEqual(refusal(yield* Effect.exit(launcher.launch({ prompt: "late" }))), "ended")
      assert.deepStrictEqual(log.opened, [])
    })
  )

  it.effect("still does what was asked for before its end", () =>
    Effect.gen(function* () {
      const { launcher } = yield* start({ concurrency: 1 })
      const launches = yield* Effect.forEach([1, 2, 3], () =>
        Effect.forkChild(launcher.launch({ prompt: "a", outputTokens: 1 }), { startImmediately: true })
      )
      yield* launcher.end
      yield* TestClock.adjust(300)
      yield* Effect.forEach(launches, Fiber.join)
      assert.deepStrictEqual(ids(yield* Stream.runCollect(launcher.results)), [1, 2, 3])
    })
  )

  it.effect("does not start with room for nobody", () =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(start({ concurrency: 0 }))
      assert.match(String(Exit.isFailure(exit) && Cause.squash(exit.cause)), /concurrency must be 1 or more/)
    })
  )

  it.effect("is a service for as long as its layer lives", () =>
    Effect.gen(function* () {
      const { log, provider } = yield* Scripted.make(usual)
      const layer = RequestsLauncher.layer({ concurrency: 1 }).pipe(
        Layer.provide([Layer.succeed(Provider, provider), Layer.succeed(TokenCounter, counter)])
      )
      yield* Effect.gen(function* () {
        const launcher = yield* RequestsLauncher.RequestsLauncher
        yield* launcher.launch({ prompt: "a", outputTokens: 3 })
      }).pipe(Effect.provide(layer))
      assert.deepStrictEqual(log.closed, [{ id: 1, at: 0 }])
    })
  )

  const Millis = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 30 }))
  const MaybeMillis = Schema.NullOr(Millis)
  const Launch = Schema.Struct({ at: Millis, takes: Millis, interruptedAt: MaybeMillis, now: Schema.Boolean })

  it.effect.prop(
    "gives exactly one result for every launch and never has more in flight than it may",
    [
      Schema.Array(Launch).check(Schema.isMinLength(1), Schema.isMaxLength(25)),
      Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 6 })),
      Schema.Struct({ cancelAt: MaybeMillis, closeAt: MaybeMillis })
    ],
    ([launches, concurrency, { cancelAt, closeAt }]) =>
      Effect.gen(function* () {
        const { close, launcher, log, open } = yield* start({ concurrency }, ({ inputTokens }) =>
          Scripted.answer({ ttft: inputTokens, gap: 1, words: 2 })
        )
        const collecting = yield* Effect.forkChild(Stream.runCollect(launcher.results))
        const calls = yield* Effect.forEach(launches, ({ at, now, takes }) => {
          const launch = now ? launcher.launchNow : launcher.launch
          return Effect.forkChild(Effect.delay(launch({ prompt: "a", inputTokens: takes }), at))
        })
        for (const [index, { interruptedAt }] of launches.entries()) {
          const call = calls[index]
          if (interruptedAt === null || call === undefined) continue
          yield* Effect.forkChild(Effect.delay(Fiber.interrupt(call), interruptedAt))
        }
        if (cancelAt !== null) yield* Effect.forkChild(Effect.delay(launcher.cancel, cancelAt))
        if (closeAt !== null) yield* Effect.forkChild(Effect.delay(close, closeAt))
        yield* TestClock.adjust(2_000)
        yield* launcher.end
        const results = yield* Fiber.join(collecting)
        const exits = yield* Effect.forEach(calls, Fiber.await)

        const given = ids(results)
        assert.lengthOf(new Set(given), given.length)
        const launched = exits.flatMap((exit) => (Exit.isSuccess(exit) ? [exit.value] : []))
        assert.lengthOf(new Set(launched), launched.length)
        for (const id of launched) assert.include(given, id)
        // What was sent has a result, even if whoever launched it had been interrupted.
        for (const { id } of log.opened) assert.include(given, id)
        assert.isAtMost(open.most, concurrency)
        assert.strictEqual(open.now, 0)

        const interrupted = exits.filter((exit) => Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause))
        const refused = exits
          .filter((exit) => Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause))
          .map(refusal)
        // Nothing is lost: each call has launched, was refused with a reason, or was interrupted by its caller.
        assert.strictEqual(launched.length + refused.length + interrupted.length, launches.length)
        assert.isAtMost(given.length - launched.length, interrupted.length)
        if (closeAt === null && launches.every(({ interruptedAt }) => interruptedAt === null)) {
          assert.strictEqual(given.length, launched.length)
          if (cancelAt === null && launches.every(({ now }) => !now)) assert.strictEqual(given.length, launches.length)
        }
      }).pipe(Effect.provide(TestClock.layer())),
    { arbitrary: { runs: 100 } }
  )
})
