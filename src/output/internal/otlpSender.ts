/** Posts spans to a collector, a few requests at a time, and tries again what may yet be taken. */
import type * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as HttpClient from "effect/http/HttpClient"
import * as OtlpSerialization from "effect/observability/OtlpSerialization"
import * as Queue from "effect/Queue"
import * as Random from "effect/Random"
import { type Protocol } from "../OtlpCollector.ts"
import * as Post from "./otlpPost.ts"
import * as Rows from "./otlpRows.ts"
import * as Span from "./otlpSpan.ts"

/** What a span is made of, when it is sent. That of the run is not counted. */
type Item = Rows.Row | Span.Run

/** How many spans the collector has, how many it will not have, and what went wrong last. */
export interface Progress {
  readonly sent: number
  readonly failed: number
  readonly problem: string | null
}

/**
 * - `offer`: takes over rows; `end`: there are no more, and the run was this
 * - `run`: ends when all has been settled after `end`
 */
export interface Sender {
  readonly offer: (packed: Rows.Packed) => void
  readonly end: (run: Span.Run | null) => void
  readonly run: Effect.Effect<void, never, HttpClient.HttpClient>
}

export interface Options extends Post.Options {
  readonly subject: Span.Subject
  readonly protocol: Protocol
  readonly onProgress: (progress: Progress) => void
}

/** Collectors take this much at once in any encoding; it is what the SDKs send. */
const SPANS_PER_MESSAGE = 512
const MESSAGES_AT_ONCE = 4
/** So long a message is tried again while the run goes on. */
const PATIENCE_MILLIS = 60_000
const FIRST_PAUSE_MILLIS = 500
const LONGEST_PAUSE_MILLIS = 10_000
/** Once the run has ended, everything waits for what is left. */
const LAST_PAUSE_MILLIS = 250

const json = Effect.provide(OtlpSerialization.OtlpSerialization, OtlpSerialization.layerJson)
const protobuf = Effect.provide(OtlpSerialization.OtlpSerialization, OtlpSerialization.layerProtobuf)

export const make = Effect.fnUntraced(function* (options: Options): Effect.fn.Return<Sender> {
  const { onProgress, protocol, subject } = options
  const queue = yield* Queue.unbounded<Item, Cause.Done>()
  const ended = Deferred.makeUnsafe<void>()
  const spanOfRequest = Span.ofRequest(subject)
  const messageOf = Span.message(subject)
  const wanted = protocol === "http/json" ? yield* json : yield* protobuf
  const other = protocol === "http/json" ? yield* protobuf : yield* json
  let isWanted = true

  const spanOf = (item: Item): Span.Span => (item instanceof Rows.Row ? spanOfRequest(item) : Span.ofRun(subject, item))
  const encode = (items: ReadonlyArray<Item>) => (isWanted ? wanted : other).traces(messageOf(items.map(spanOf)))
  const countOf = (items: ReadonlyArray<Item>): number => items.filter((item) => item instanceof Rows.Row).length
  const problem = (text: string): void => onProgress({ sent: 0, failed: 0, problem: text })
  const settled = (items: ReadonlyArray<Item>, rejected: number, text: string | null): void => {
    const count = countOf(items)
    const failed = Math.min(rejected, count)
    onProgress({ sent: count - failed, failed, problem: text })
  }

  const pause = (attempt: number, askedFor: number | null) =>
    Effect.gen(function* () {
      if (Deferred.isDoneUnsafe(ended)) return yield* Effect.sleep(Math.max(LAST_PAUSE_MILLIS, askedFor ?? 0))
      const doubled = Math.min(LONGEST_PAUSE_MILLIS, FIRST_PAUSE_MILLIS * 2 ** attempt)
      // Not all senders of a run at the same moment
      const spread = doubled * (0.5 + 0.5 * (yield* Random.next))
      yield* Effect.timeoutOrElse(Deferred.await(ended), {
        duration: Math.max(spread, askedFor ?? 0),
        orElse: () => Effect.void
      })
    })

  const settle = (items: ReadonlyArray<Item>): Effect.Effect<void, never, HttpClient.HttpClient> =>
    Effect.gen(function* () {
      const begun = yield* Clock.currentTimeMillis
      for (let attempt = 0; ; attempt++) {
        const wasWanted = isWanted
        const outcome = yield* Post.post(options, encode(items))
        switch (outcome._tag) {
          case "Taken":
            return settled(items, outcome.rejected, outcome.problem)
          case "Refused":
            return settled(items, items.length, outcome.problem)
          case "OtherFormat":
            if (!wasWanted) return settled(items, items.length, outcome.problem)
            isWanted = false
            break
          case "TooLarge": {
            if (items.length === 1) return settled(items, 1, outcome.problem)
            const half = items.length >> 1
            yield* settle(items.slice(0, half))
            return yield* settle(items.slice(half))
          }
          case "Later": {
            const isLate = (yield* Clock.currentTimeMillis) - begun >= PATIENCE_MILLIS
            if (isLate) return settled(items, items.length, outcome.problem)
            problem(outcome.problem)
            yield* pause(attempt, outcome.afterMillis)
          }
        }
      }
    })

  const sendAll = Queue.takeBetween(queue, 1, SPANS_PER_MESSAGE).pipe(
    Effect.flatMap(settle),
    Effect.forever,
    Effect.catchTag("Done", () => Effect.void)
  )

  return {
    offer: (packed) => {
      Queue.offerAllUnsafe(queue, Rows.rows(packed))
    },
    end: (run) => {
      if (run !== null) Queue.offerUnsafe(queue, run)
      Queue.endUnsafe(queue)
      Deferred.doneUnsafe(ended, Exit.void)
    },
    run: Effect.all(
      Array.from({ length: MESSAGES_AT_ONCE }, () => sendAll),
      { concurrency: "unbounded", discard: true }
    )
  }
})
