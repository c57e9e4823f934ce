/**
 * What a client adds: the difference between what it measured and what the server did, request by request and token by
 * token. Both sides' stamps are of one clock.
 *
 * @since 0.2.0
 */
import {
  type AddedLatency,
  type ClientExchange,
  type ServerExchange,
  type Spread
} from "../domain/CalibrationResults.ts"
import * as Quantile from "./Quantile.ts"

/**
 * The distribution of some values, in any order: quantiles by linear interpolation (type 7).
 *
 * @category constructors
 * @since 0.2.0
 */
export const spread = (values: Iterable<number>): Spread => {
  const sorted = Float64Array.from(values).toSorted()
  const at = (q: number): number | null => Quantile.quantile(sorted, q)
  return { count: sorted.length, p50: at(0.5), p99: at(0.99), p999: at(0.999), max: sorted.at(-1) ?? null }
}

/**
 * What was found. `lostTokens`: tokens that the server sent in an answer that the client saw to its end, and the client did
 * not stamp; `unmatched`: requests that only one of the two has seen.
 *
 * @category models
 * @since 0.2.0
 */
export interface Difference {
  readonly added: AddedLatency
  readonly lostTokens: number
  readonly unmatched: number
}

/**
 * Compares what both sides saw, by the ids of requests. Of a request that the client gave up, the tokens are compared that it
 * saw; `isComplete` says that it did not. What the server wrote before `since` is left out.
 *
 * @category comparing
 * @since 0.2.0
 */
export const between = (
  client: ReadonlyMap<string, ClientExchange & { readonly isComplete: boolean }>,
  server: ReadonlyMap<string, ServerExchange>,
  since = -Infinity
): Difference => {
  const ttft: Array<number> = []
  const requestPath: Array<number> = []
  const answerPath: Array<number> = []
  const gaps: Array<number> = []
  const delays: Array<number> = []
  const waits: Array<number> = []
  const writes: Array<number> = []
  let lostTokens = 0
  let matched = 0

  for (const [id, { chunkAt, isComplete, sentAt }] of client) {
    const seen = server.get(id)
    if (seen === undefined) continue
    matched++
    const { arrivedAt, takenAt, waitedNanos, writtenAt } = seen
    const there = arrivedAt - sentAt
    if (arrivedAt >= since) {
      requestPath.push(there / 1e9)
      // It cannot have been there before it was sent
      waits.push(Math.min(waitedNanos, Math.max(0, there)) / 1e9)
    }
    if (isComplete) lostTokens += Math.max(0, writtenAt.length - chunkAt.length)
    let before = 0
    for (let i = 0; i < Math.min(chunkAt.length, writtenAt.length); i++) {
      const written = writtenAt[i] ?? 0
      const delay = (chunkAt[i] ?? 0) - written
      const previous = before
      before = delay
      if (written < since) continue
      delays.push(delay / 1e9)
      writes.push(((takenAt[i] ?? 0) - written) / 1e9)
      if (i === 0) {
        answerPath.push(delay / 1e9)
        ttft.push((there + delay) / 1e9)
        // The client's gap less the server's is how much later this token came than the one before
      } else gaps.push((delay - previous) / 1e9)
    }
  }
  return {
    added: {
      ttft_s: spread(ttft),
      request_path_s: spread(requestPath),
      answer_path_s: spread(answerPath),
      inter_token_latency_s: spread(gaps),
      token_delay_s: spread(delays),
      server_wait_s: spread(waits),
      server_write_s: spread(writes)
    },
    lostTokens,
    unmatched: client.size + server.size - 2 * matched
  }
}
