import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as LlmError from "../../../src/domain/LlmError.ts"
import { type TokenEvent } from "../../../src/domain/TokenEvent.ts"
import { type AccessToken } from "../../../src/provider/internal/googleToken.ts"
import * as Renewal from "../../../src/provider/internal/renewal.ts"
import { collect } from "../asking.ts"

const lifeMillis = 3_600_000
const freshMillis = lifeMillis - Renewal.marginMillis

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

const text = (token: AccessToken): string => Redacted.value(token.value)

describe("renewal.renewable", () => {
  it.effect("asks at once, and not again while the token is fresh", () =>
    Effect.gen(function* () {
      const { fetch, state } = issuer()
      const { current } = yield* Renewal.renewable(fetch)
      assert.strictEqual(state.fetches, 1)
      yield* TestClock.adjust(freshMillis - 1)
      for (let i = 0; i < 3; i++) assert.strictEqual(text(yield* current), "1")
      assert.strictEqual(state.fetches, 1)
    })
  )

  it.effect("fails at once when there is none", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* Effect.flip(Renewal.renewable(issuer({ failing: [1] }).fetch)), failure)
    })
  )

  it.effect("renews beside the requests while the old token is good", () =>
    Effect.gen(function* () {
      const { fetch, state } = issuer({ takesMillis: 500 })
      const { current } = yield* Renewal.renewable(fetch)
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
      const { current } = yield* Renewal.renewable(fetch)
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
      const { current } = yield* Renewal.renewable(fetch)
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
      const { current } = yield* Renewal.renewable(fetch)
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
      const { current } = yield* Renewal.renewable(fetch)
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
      const { current } = yield* Renewal.renewable(fetch)
      yield* TestClock.adjust(10 * lifeMillis)
      assert.strictEqual(text(yield* current), "1")
      assert.strictEqual(state.fetches, 1)
    })
  )

  it.effect("renews a short-lived token ahead of its end, too", () =>
    Effect.gen(function* () {
      const { fetch, state } = issuer({ lifeMillis: 3_000 })
      const { current } = yield* Renewal.renewable(fetch)
      yield* TestClock.adjust(1_999)
      assert.strictEqual(text(yield* current), "1")
      assert.strictEqual(state.fetches, 1)
      yield* TestClock.adjust(1)
      assert.strictEqual(text(yield* current), "1")
      yield* TestClock.adjust(1)
      assert.strictEqual(text(yield* current), "2")
    })
  )

  it.effect("tries again soon when a short-lived token was not renewed", () =>
    Effect.gen(function* () {
      const { fetch, state } = issuer({ lifeMillis: 3_000, failing: [2] })
      const { current } = yield* Renewal.renewable(fetch)
      yield* TestClock.adjust(2_000)
      assert.strictEqual(text(yield* current), "1")
      yield* TestClock.adjust(250)
      assert.strictEqual(text(yield* current), "1")
      assert.strictEqual(state.fetches, 2)
      yield* TestClock.adjust(2)
      assert.strictEqual(text(yield* current), "1")
      yield* TestClock.adjust(1)
      assert.strictEqual(text(yield* current), "3")
    })
  )

  it.effect("replaces a rejected token once for all who had it", () =>
    Effect.gen(function* () {
      const { fetch, state } = issuer({ lifeMillis: null, takesMillis: 500 })
      const { current, renew } = yield* Renewal.renewable(fetch)
      const first = yield* current
      const early = yield* Effect.forEach(Array.from({ length: 20 }), () => Effect.forkChild(renew(first)))
      yield* TestClock.adjust(500)
      const late = yield* Effect.forEach(Array.from({ length: 20 }), () => Effect.forkChild(renew(first)))
      yield* TestClock.adjust(1)
      for (const fiber of [...early, ...late]) assert.strictEqual(text(yield* Fiber.join(fiber)), "2")
      assert.deepStrictEqual(state, { fetches: 2, live: 0, most: 1 })
    })
  )

  it.effect("does not ask for token after token when all are rejected", () =>
    Effect.gen(function* () {
      const { fetch, state } = issuer()
      const { current, renew } = yield* Renewal.renewable(fetch)
      const second = yield* renew(yield* current)
      assert.strictEqual(text(second), "2")
      assert.strictEqual(yield* renew(second), second)
      assert.strictEqual(state.fetches, 2)
      yield* TestClock.adjust(1_000)
      assert.strictEqual(text(yield* renew(second)), "3")
    })
  )
})

describe("renewal.send", () => {
  const refusal = LlmError.fromReason(
    new LlmError.HttpStatus({ status: 401, body: "revoked", retryAfterSeconds: null })
  )
  const isRejected = (error: LlmError.LlmError): boolean => error.errorCode === 401

  /** A server that takes only these tokens. */
  const server = (...good: ReadonlyArray<string>) => {
    const asked: Array<string> = []
    const request = (token: AccessToken): Stream.Stream<TokenEvent, LlmError.LlmError> =>
      Stream.suspend(() => {
        asked.push(text(token))
        const sent: TokenEvent = { _tag: "Sent", at: 1, connection: null }
        return good.includes(text(token))
          ? Stream.fromIterable<TokenEvent>([sent, { _tag: "Ended", at: 2 }])
          : Stream.concat(Stream.succeed(sent), Stream.fail(refusal))
      })
    return { asked, request }
  }

  it.effect("sends a rejected request once more with another token, and says so", () =>
    Effect.gen(function* () {
      const tokens = yield* Renewal.renewable(issuer().fetch)
      const { asked, request } = server("2")
      const { error, events } = yield* collect(Renewal.send(tokens, isRejected, request))
      assert.isUndefined(error)
      assert.deepStrictEqual(
        events.map(({ _tag }) => _tag),
        ["Sent", "CredentialRenewed", "Sent", "Ended"]
      )
      assert.deepStrictEqual(asked, ["1", "2"])
    })
  )

  it.effect("sends it twice at most", () =>
    Effect.gen(function* () {
      const tokens = yield* Renewal.renewable(issuer().fetch)
      const { asked, request } = server()
      assert.strictEqual((yield* collect(Renewal.send(tokens, isRejected, request))).error, refusal)
      assert.deepStrictEqual(asked, ["1", "2"])
    })
  )

  it.effect("lets the refusal stand when there is no other token", () =>
    Effect.gen(function* () {
      const tokens = yield* Renewal.renewable(issuer({ failing: [2] }).fetch)
      const { asked, request } = server()
      assert.strictEqual((yield* collect(Renewal.send(tokens, isRejected, request))).error, refusal)
      assert.deepStrictEqual(asked, ["1"])
    })
  )
})
