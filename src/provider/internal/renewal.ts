import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import type * as LlmError from "../../domain/LlmError.ts"
import { type TokenEvent } from "../../domain/TokenEvent.ts"

/**
 * A credential that expires.
 *
 * - `current`: one that is good as far as is known
 * - `renew(rejected)`: another one, as a server has rejected this; fails, or gives the same again, when there is no other
 */
export interface Renewable<A> {
  readonly current: Effect.Effect<A, LlmError.LlmError>
  readonly renew: (rejected: A) => Effect.Effect<A, LlmError.LlmError>
}

/** `expiresAtMillis`: epoch milliseconds; `null` when it does not expire as far as is known. */
interface Expiring {
  readonly expiresAtMillis: number | null
}

/**
 * How long before its end a credential is renewed, at most: the server's clock may be ahead of ours. Google's metadata server
 * hands out the old token until 4 minutes before, so Google's own libraries do not ask earlier than 3 minutes 45 seconds before.
 */
export const marginMillis = 225_000

/** The part of a short life that is left when a credential is renewed. */
const marginShare = 1 / 3

/** How long to wait after an attempt to renew a token that is still good, and what part of the margin at most. */
const pauseMillis = 10_000
const pauseShare = 1 / 4

/** How often credentials that were rejected are replaced, at most: who issues them must not feel how many requests there are. */
const rejectedMillis = 1_000

const makeRenewable = <A extends Expiring>(
  fetch: Effect.Effect<A, LlmError.LlmError>,
  first: A,
  clock: Clock.Clock
): Renewable<A> => {
  let current = first
  let fetchedAt = clock.currentTimeMillisUnsafe()
  let triedAt = fetchedAt
  let rejectedAt = -Infinity
  let pending: Fiber.Fiber<A, LlmError.LlmError> | undefined

  const fetched = fetch.pipe(
    Effect.tap((credential) =>
      Effect.sync(() => {
        current = credential
        fetchedAt = clock.currentTimeMillisUnsafe()
      })
    ),
    Effect.ensuring(
      Effect.sync(() => {
        pending = undefined
        triedAt = clock.currentTimeMillisUnsafe()
      })
    )
  )

  // A fiber of its own: the request that began it may be cancelled while others wait for it too.
  const begin = Effect.suspend(() =>
    pending !== undefined
      ? Effect.succeed(pending)
      : Effect.tap(Effect.forkDetach(fetched), (fiber) =>
          Effect.sync(() => {
            pending = fiber
          })
        )
  )
  const fresh = Effect.flatMap(begin, Fiber.join)

  return {
    current: Effect.suspend(() => {
      if (current.expiresAtMillis === null) return Effect.succeed(current)
      const now = clock.currentTimeMillisUnsafe()
      const left = current.expiresAtMillis - now
      const margin = Math.min(marginMillis, (current.expiresAtMillis - fetchedAt) * marginShare)
      if (left > margin) return Effect.succeed(current)
      if (left <= 0) return fresh
      const isTried = triedAt > fetchedAt && now <= triedAt + Math.min(pauseMillis, margin * pauseShare)
      return isTried ? Effect.succeed(current) : Effect.as(begin, current)
    }),
    renew: (rejected) =>
      Effect.suspend(() => {
        if (current !== rejected) return Effect.succeed(current)
        if (pending !== undefined) return fresh
        const now = clock.currentTimeMillisUnsafe()
        if (now - rejectedAt < rejectedMillis) return Effect.succeed(current)
        rejectedAt = now
        return fresh
      })
  }
}

/**
 * Keeps a credential that `fetch` issues: at once, ahead of its end, and when it was rejected. While it is good a request never
 * waits: the new one is fetched beside it. There is one fetch at a time; all who need its credential share it.
 */
export const renewable = <A extends Expiring>(
  fetch: Effect.Effect<A, LlmError.LlmError>
): Effect.Effect<Renewable<A>, LlmError.LlmError> =>
  Effect.map(Effect.all({ first: fetch, clock: Clock.Clock }), ({ clock, first }) => makeRenewable(fetch, first, clock))

/**
 * Sends a request with the current credential, and once more with another where the server rejects that. The refusal stands when
 * there is no other.
 */
export const send = <A>(
  { current, renew }: Renewable<A>,
  isRejected: (error: LlmError.LlmError) => boolean,
  request: (credential: A) => Stream.Stream<TokenEvent, LlmError.LlmError>
): Stream.Stream<TokenEvent, LlmError.LlmError> =>
  Stream.unwrap(
    Effect.map(current, (first) =>
      Stream.catchIf(request(first), isRejected, (refusal) =>
        Stream.unwrap(
          Effect.match(Effect.all([renew(first), Clock.monotonicTimeNanos]), {
            onFailure: () => Stream.fail(refusal),
            onSuccess: ([second, at]) =>
              second === first
                ? Stream.fail(refusal)
                : Stream.concat(Stream.succeed({ _tag: "CredentialRenewed", at: Number(at) }), request(second))
          })
        )
      )
    )
  )
