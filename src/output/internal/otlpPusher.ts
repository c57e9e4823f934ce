/** Pushes metrics to a collector, again and again. One that does not take them loses nothing: the next push has everything. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as HttpBody from "effect/http/HttpBody"
import type * as HttpClient from "effect/http/HttpClient"
import * as OtlpSerialization from "effect/observability/OtlpSerialization"
import { type Reading } from "../../metrics/RunMetrics.ts"
import { type Protocol } from "../OtlpCollector.ts"
import * as Metrics from "./otlpMetrics.ts"
import * as Post from "./otlpPost.ts"

/**
 * - `read`: the metrics as they are now
 * - `onPush`: is told of every push, `null` when all went well
 */
export interface Options extends Post.Options {
  readonly subject: Metrics.Subject
  readonly protocol: Protocol
  readonly read: () => Reading
  readonly onPush: (problem: string | null) => void
}

/**
 * - `run`: pushes every ten seconds until it is interrupted; in the other encoding, where the collector does not know the one
 * - `last`: pushes once more, and tries again once if the collector may take it later
 */
export interface Pusher {
  readonly run: Effect.Effect<never, never, HttpClient.HttpClient>
  readonly last: Effect.Effect<void, never, HttpClient.HttpClient>
}

const EVERY_MILLIS = 10_000
/** All of the last push has to be over in five seconds. */
const LAST_TIMEOUT_SECONDS = 2
const LAST_PAUSE_MILLIS = 500

type Encode = OtlpSerialization.OtlpSerialization["Service"]["metrics"]

/** 64 bits are text in JSON. Whoever reads it should take numbers too, but does not have to. */
const asText = (key: string, value: unknown): unknown => {
  if (key === "count") return String(value)
  return key === "bucketCounts" && Array.isArray(value) ? value.map(String) : value
}

const encodeJson: Encode = (data) => HttpBody.text(JSON.stringify(data, asText), "application/json")

const encodeProtobuf = OtlpSerialization.OtlpSerialization.pipe(
  Effect.map(
    (serialization): Encode =>
      (data) =>
        serialization.metrics(data)
  ),
  Effect.provide(OtlpSerialization.layerProtobuf)
)

export const make = Effect.fnUntraced(function* (options: Options): Effect.fn.Return<Pusher> {
  const { onPush, protocol, read, subject } = options
  const clock = yield* Clock.Clock
  const messageOf = Metrics.message(subject, clock.currentTimeNanosUnsafe())
  const encodings = [encodeJson, yield* encodeProtobuf] as const
  const [first, other] = protocol === "http/json" ? encodings : ([encodings[1], encodings[0]] as const)
  let encode: Encode = first

  const post = (timeoutSeconds: number) =>
    Effect.suspend(() =>
      Post.post({ ...options, timeoutSeconds }, encode(messageOf(read(), clock.currentTimeNanosUnsafe())))
    )
  const push = Effect.fnUntraced(function* (timeoutSeconds: number) {
    let outcome = yield* post(timeoutSeconds)
    if (outcome._tag === "OtherFormat" && encode !== other) {
      encode = other
      outcome = yield* post(timeoutSeconds)
    }
    onPush(outcome.problem)
    return outcome
  })

  const lastTimeout = Math.min(options.timeoutSeconds, LAST_TIMEOUT_SECONDS)
  return {
    run: Effect.forever(Effect.andThen(Effect.sleep(EVERY_MILLIS), push(options.timeoutSeconds))),
    last: Effect.gen(function* () {
      const outcome = yield* push(lastTimeout)
      if (outcome._tag !== "Later") return
      yield* Effect.sleep(LAST_PAUSE_MILLIS)
      yield* push(lastTimeout)
    })
  }
})
