import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import * as TestClock from "effect/testing/TestClock"
import * as LlmError from "../../../src/domain/LlmError.ts"
import * as GoogleToken from "../../../src/provider/internal/googleToken.ts"

const lifeMillis = 3_600_000
const freshMillis = lifeMillis - GoogleToken.marginMillis

const failure = LlmError.fromReason(new LlmError.MissingCredential({ variable: "X", description: "none" }))

/** Hands out `1`, `2`, … after `takesMillis`, each for an hour unless told otherwise; fails for the numbers in `failing`. */
const issuer = ({
  failing = [],
  lifeMillis: life = lifeMillis,
  takesMillis = 0
}: {
  readonly failing?: ReadonlyArray<number>
  readonly lifeMillis?: number | null
  readonly takesMillis?: number
} = {}) => {
  const state = { fetches: 0, live: 0, most: 0 }
  const fetch = Effect.gen(function* () {
    const ordinal = ++state.fetches
    state.most = Math.max(state.most, ++state.live)
    if (ordinal > 1) yield* Effect.sleep(takesMillis)
    state.live--
    if (failing.includes(ordinal)) return yield* failure
    const now = yield* Clock.currentTimeMillis
    return {
      value: Redacted.make(String(ordinal)),
      expiresAtMillis: life === null ? null : now + life,
      quotaProject: null
    }
  })
  return { state, fetch }
}

const text = (token: GoogleToken.AccessToken): string => Redacted.value(token.value)

describe("googleToken.renewing", () => {
  it.effect("asks at once, and not again while the token is fresh", () =>
    Effect.gen(function* () {
      const { fetch, state } = issuer()
      const current = yield* GoogleToken.renewing(fetch)
      assert.strictEqual(state.fetches, 1)
      yield* TestClock.adjust(freshMillis - 1)
      for (let i = 0; i < 3; i++) assert.strictEqual(text(yield* current), "1")
      assert.strictEqual(state.fetches, 1)
    })
  )

  it.effect("fails at once when there is none", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* Effect.flip(GoogleToken.renewing(issuer({ failing: [1] }).fetch)), failure)
    })
  )

  it.effect("renews beside the requests while the old token is good", () =>
    Effect.gen(function* () {
      const { fetch, state } = issuer({ takesMillis: 500 })
      const current = yield* GoogleToken.renewing(fetch)
      yield* TestClock.adjust(freshMillis)
      for (let i = 0; i < 3; i++) assert.strictEqual(text(yield* current), "1")
      yield* TestClock.adjust(500)
      assert.strictEqual(text(yield* current), "2")
      assert.deepStrictEqual(state, { fetches: 2, live: 0, most: 1 })
    })
  )

  it.effect("waits for one new token, together with all others, once the old one has expired", () =>
    Effect.gen(function* () {
      const { fetch, state } = issuer({ takesMillis: 500 })
      const current = yield* GoogleToken.renewing(fetch)
      yield* TestClock.adjust(lifeMillis)
      const fibers = yield* Effect.forEach(Array.from({ length: 20 }), () => Effect.forkChild(current))
      yield* TestClock.adjust(499)
      assert.isUndefined(fibers[0]?.pollUnsafe())
      yield* TestClock.adjust(1)
      for (const fiber of fibers) assert.strictEqual(text(yield* Fiber.join(fiber)), "2")
      assert.deepStrictEqual(state, { fetches: 2, live: 0, most: 1 })
    })
  )

  it.effect("a request that is cancelled does not take the token from the others", () =>
    Effect.gen(function* () {
      const { fetch, state } = issuer({ takesMillis: 500 })
      const current = yield* GoogleToken.renewing(fetch)
      yield* TestClock.adjust(lifeMillis)
      const first = yield* Effect.forkChild(current)
      const second = yield* Effect.forkChild(current)
      yield* TestClock.adjust(100)
      yield* Fiber.interrupt(first)
      yield* TestClock.adjust(400)
      assert.strictEqual(text(yield* Fiber.join(second)), "2")
      assert.strictEqual(state.fetches, 2)
    })
  )

  it.effect("a renewal that fails harms nobody while the token is good, and is tried again later", () =>
    Effect.gen(function* () {
      const { fetch, state } = issuer({ failing: [2] })
      const current = yield* GoogleToken.renewing(fetch)
      yield* TestClock.adjust(freshMillis)
      assert.strictEqual(text(yield* current), "1")
      yield* TestClock.adjust(1_000)
      assert.strictEqual(text(yield* current), "1")
      assert.strictEqual(state.fetches, 2)
      yield* TestClock.adjust(10_000)
      assert.strictEqual(text(yield* current), "1")
      yield* TestClock.adjust(1)
      assert.strictEqual(text(yield* current), "3")
    })
  )

  it.effect("the requests fail when the token has expired and there is no other, until there is", () =>
    Effect.gen(function* () {
      const { fetch } = issuer({ failing: [2] })
      const current = yield* GoogleToken.renewing(fetch)
      yield* TestClock.adjust(lifeMillis)
      const fiber = yield* Effect.forkChild(Effect.flip(current))
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* Fiber.join(fiber), failure)
      const next = yield* Effect.forkChild(current)
      yield* TestClock.adjust(1)
      assert.strictEqual(text(yield* Fiber.join(next)), "3")
    })
  )

  it.effect("does not renew what does not expire", () =>
    Effect.gen(function* () {
      const { fetch, state } = issuer({ lifeMillis: null })
      const current = yield* GoogleToken.renewing(fetch)
      yield* TestClock.adjust(10 * lifeMillis)
      assert.strictEqual(text(yield* current), "1")
      assert.strictEqual(state.fetches, 1)
    })
  )
})
