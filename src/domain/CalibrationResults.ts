/**
 * What the client adds to what it measures, found by asking a server that writes down what it does.
 *
 * Times are seconds, except the stamps of exchanges, which are nanoseconds on the monotonic clock of the machine.
 *
 * @since 0.2.0
 */
import * as Schema from "effect/Schema"

/**
 * A request as the client saw it: `sentAt` before it was written, `chunkAt` the arrival of every token.
 *
 * @category models
 * @since 0.2.0
 */
export interface ClientExchange {
  readonly sentAt: number
  readonly chunkAt: ReadonlyArray<number>
}

/**
 * The same request as the server saw it.
 *
 * - `arrivedAt`: it was there in full, to the server's knowledge; `waitedNanos`: for how long at most it may have been
 *   there before the server looked
 * - `writtenAt`, `takenAt`: of every token, before it was handed to the kernel, and when the kernel had taken it
 *
 * @category models
 * @since 0.2.0
 */
export interface ServerExchange {
  readonly arrivedAt: number
  readonly waitedNanos: number
  readonly writtenAt: ReadonlyArray<number>
  readonly takenAt: ReadonlyArray<number>
}

const Num = Schema.NullOr(Schema.Finite)

/**
 * A distribution of `count` values; everything else is `null` when there are none.
 *
 * @category models
 * @since 0.2.0
 */
export const Spread = Schema.Struct({ count: Schema.Int, p50: Num, p99: Num, p999: Num, max: Num })

/**
 * @category models
 * @since 0.2.0
 */
export interface Spread extends Schema.Schema.Type<typeof Spread> {}

/**
 * What lies between a server and what the client says of it, kernel and loopback included.
 *
 * - `ttft_s`: of every request, `request_path_s` + `answer_path_s`: the TTFT that the client measured, less the time from the
 *   server's arrival stamp to its stamp before the first write
 * - `request_path_s`: from the client's stamp to the server's arrival stamp; `answer_path_s`: from the server's stamp before
 *   the first token to the client's stamp of it
 * - `inter_token_latency_s`: of every gap, the client's less the server's; negative where a token came late and the one after
 *   it did not
 * - `token_delay_s`: of every token, from the server's stamp to the client's
 * - `server_wait_s`, `server_write_s`: the server's own part, at most: what an arrival stamp may be late by, and how long the
 *   kernel took to take a token. Both are in the figures above
 *
 * @category models
 * @since 0.2.0
 */
export const AddedLatency = Schema.Struct({
  ttft_s: Spread,
  request_path_s: Spread,
  answer_path_s: Spread,
  inter_token_latency_s: Spread,
  token_delay_s: Spread,
  server_wait_s: Spread,
  server_write_s: Spread
})

/**
 * @category models
 * @since 0.2.0
 */
export interface AddedLatency extends Schema.Schema.Type<typeof AddedLatency> {}

/**
 * How heavy a load is: requests in flight at most, requests started and tokens received per second on average.
 *
 * @category models
 * @since 0.2.0
 */
export const Weight = Schema.Struct({
  kind: Schema.Literals(["closed", "open"]),
  in_flight: Schema.Finite,
  requests_per_s: Schema.Finite,
  tokens_per_s: Schema.Finite
})

/**
 * @category models
 * @since 0.2.0
 */
export interface Weight extends Schema.Schema.Type<typeof Weight> {}

/**
 * What a load is before it is run. What is not known then is `null`.
 *
 * @category models
 * @since 0.2.0
 */
export interface Asked {
  readonly kind: Weight["kind"]
  readonly in_flight: number | null
  readonly requests_per_s: number | null
  readonly tokens_per_s: number | null
}

/**
 * What was asked for: requests in flight of a closed loop, or requests per second of an open loop; mean lengths in tokens; and
 * the pace of the server, in seconds.
 *
 * @category models
 * @since 0.2.0
 */
export const Shape = Schema.Struct({
  kind: Schema.Literals(["closed", "open"]),
  concurrency: Schema.NullOr(Schema.Int),
  requests_per_s: Num,
  input_tokens: Schema.Finite,
  output_tokens: Schema.Finite,
  ttft_s: Schema.Finite,
  itl_s: Schema.Finite
})

/**
 * @category models
 * @since 0.2.0
 */
export interface Shape extends Schema.Schema.Type<typeof Shape> {}

/**
 * What was at work while a load ran, from 0 to 1: how much of the time the client's main thread and the server's had
 * something to do, and how much of all processors other programs took. What these slow down is in the figures too.
 *
 * @category models
 * @since 0.2.0
 */
export const Busy = Schema.Struct({ client: Schema.Finite, server: Schema.Finite, others: Schema.Finite })

/**
 * @category models
 * @since 0.2.0
 */
export interface Busy extends Schema.Schema.Type<typeof Busy> {}

/**
 * What a load came to.
 *
 * - `weight`: what was really carried, over `duration_s`
 * - `added`: see `AddedLatency`; `lag_s`: from the moment a request was due to the client's stamp
 * - `failed_requests`: failed or cancelled; `lost_tokens`: tokens of complete answers that the client did not stamp
 *
 * @category models
 * @since 0.2.0
 */
export const LoadCalibration = Schema.Struct({
  measured_at: Schema.String,
  shape: Shape,
  weight: Weight,
  duration_s: Schema.Finite,
  requests: Schema.Int,
  failed_requests: Schema.Int,
  lost_tokens: Schema.Int,
  added: AddedLatency,
  lag_s: Spread,
  busy: Busy
})

/**
 * @category models
 * @since 0.2.0
 */
export interface LoadCalibration extends Schema.Schema.Type<typeof LoadCalibration> {}

/**
 * The most that was reached, and with how many requests in flight. `limit` is what was full: the client's main thread, the
 * server's (the client can then do at least so much), or neither, when more in flight did not bring more.
 *
 * @category models
 * @since 0.2.0
 */
export const Limit = Schema.Struct({
  per_s: Schema.Finite,
  in_flight: Schema.Int,
  limit: Schema.Literals(["client", "server", "none"])
})

/**
 * @category models
 * @since 0.2.0
 */
export interface Limit extends Schema.Schema.Type<typeof Limit> {}

/**
 * What the machine can do at most.
 *
 * - `requests`: requests per second with answers of one token, sent at once
 * - `tokens`: tokens per second of a server that sends as fast as it can
 * - `paced_tokens`: tokens per second of streams with `paced_itl_s` seconds per token that all arrived in time, 99 % of the
 *   tokens within one such time; `null` when the fewest streams that were tried were too many
 *
 * @category models
 * @since 0.2.0
 */
export const Limits = Schema.Struct({
  measured_at: Schema.String,
  requests: Limit,
  tokens: Limit,
  paced_tokens: Schema.NullOr(Limit),
  paced_itl_s: Schema.Finite
})

/**
 * @category models
 * @since 0.2.0
 */
export interface Limits extends Schema.Schema.Type<typeof Limits> {}

/**
 * What a calibration holds for: nothing in it names the machine.
 *
 * @category models
 * @since 0.2.0
 */
export const Machine = Schema.Struct({
  cpu_model: Schema.String,
  cpu_count: Schema.Int,
  memory_bytes: Schema.Int,
  os: Schema.String,
  node_version: Schema.String,
  llmperf_version: Schema.String
})

/**
 * @category models
 * @since 0.2.0
 */
export interface Machine extends Schema.Schema.Type<typeof Machine> {}

/**
 * All that is known of a machine.
 *
 * @category models
 * @since 0.2.0
 */
export const Calibrations = Schema.Struct({
  machine: Machine,
  limits: Schema.NullOr(Limits),
  loads: Schema.Array(LoadCalibration)
})

/**
 * @category models
 * @since 0.2.0
 */
export interface Calibrations extends Schema.Schema.Type<typeof Calibrations> {}

/** A load that carried nine tenths of what is asked counts as much as that: two runs of the same flags differ a little. */
const TOLERANCE = 0.9

const ratios = (weight: Weight, asked: Asked): ReadonlyArray<number> =>
  ([weight.in_flight, weight.requests_per_s, weight.tokens_per_s] as const).flatMap((carried, i) => {
    const wanted = [asked.in_flight, asked.requests_per_s, asked.tokens_per_s][i] ?? 0
    return wanted > 0 ? [carried / wanted] : []
  })

/**
 * The calibration that tells most about a load: of those of its kind that carried at least as much of everything that is known
 * of it (nine tenths will do), the one that carried the least; of equals the last. `null` when there is none.
 *
 * @category getters
 * @since 0.2.0
 */
export const nearest = (loads: ReadonlyArray<LoadCalibration>, asked: Asked): LoadCalibration | null => {
  let found: LoadCalibration | null = null
  let least = Infinity
  for (const load of loads) {
    const carried = ratios(load.weight, asked)
    if (load.weight.kind !== asked.kind || carried.some((ratio) => ratio < TOLERANCE)) continue
    const surplus = carried.reduce((product, ratio) => product * ratio, 1)
    if (surplus <= least) {
      found = load
      least = surplus
    }
  }
  return found
}

const sameShape = (a: Shape, b: Shape): boolean =>
  a.kind === b.kind &&
  a.concurrency === b.concurrency &&
  a.requests_per_s === b.requests_per_s &&
  a.input_tokens === b.input_tokens &&
  a.output_tokens === b.output_tokens &&
  a.ttft_s === b.ttft_s &&
  a.itl_s === b.itl_s

/** How many loads are kept; the oldest are forgotten. */
const MOST_LOADS = 100

/**
 * With a load that was measured just now, in the place of an earlier one of the same shape.
 *
 * @category combining
 * @since 0.2.0
 */
export const withLoad = (known: Calibrations, load: LoadCalibration): Calibrations => ({
  ...known,
  loads: [...known.loads.filter(({ shape }) => !sameShape(shape, load.shape)), load].slice(-MOST_LOADS)
})
