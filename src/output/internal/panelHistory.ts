/** What snapshots say when they are seen one after another. */
import type { LiveSnapshot } from "../../metrics/LiveStats.ts"

const RATE_WINDOW_SECONDS = 5
export const HISTORY_SECONDS = 60

/**
 * - `tokensPerSecond`: of the last five seconds, estimated from the chunks that arrived and the tokens per chunk of the answers that
 *   have ended
 * - `tokensEachSecond`: the same of each full second of the last minute, the oldest first
 * - `endedPerSecond`, `sentPerSecond`, `askedPerSecond`: requests, of the last five seconds
 */
export interface Motion {
  readonly tokensPerSecond: number
  readonly tokensEachSecond: ReadonlyArray<number>
  readonly endedPerSecond: number
  readonly sentPerSecond: number
  readonly askedPerSecond: number
}

interface Moment {
  readonly seconds: number
  readonly chunks: number
  readonly ended: number
  readonly started: number
  readonly due: number
}

/** Requests of which nothing more is to come. */
export const ended = (snapshot: LiveSnapshot): number =>
  snapshot.completed + snapshot.failed + snapshot.cancelled + snapshot.dropped

/** `due`: how many requests are due after so many seconds. */
export const make = (due: ((elapsedSeconds: number) => number) | null): ((snapshot: LiveSnapshot) => Motion) => {
  const moments: Array<Moment> = [{ seconds: 0, chunks: 0, ended: 0, started: 0, due: 0 }]
  // A ring of seconds: the one that goes on, and those before it
  const chunks = new Float64Array(HISTORY_SECONDS + 1)
  let second = 0

  const enter = (next: number): void => {
    for (let at = Math.max(second + 1, next - HISTORY_SECONDS); at <= next; at++) chunks[at % chunks.length] = 0
    second = Math.max(second, next)
  }

  /** Spreads what came in a stretch of time evenly over its seconds. */
  const spread = (from: number, to: number, amount: number): void => {
    for (let at = Math.max(from, Math.floor(to) - HISTORY_SECONDS); at < to; at = Math.floor(at) + 1) {
      enter(Math.floor(at))
      const index = second % chunks.length
      chunks[index] = chunks[index]! + (amount * (Math.min(to, Math.floor(at) + 1) - at)) / (to - from)
    }
  }

  return (snapshot) => {
    const last = moments.at(-1)!
    const now: Moment = {
      seconds: snapshot.elapsedSeconds,
      chunks: snapshot.chunks,
      ended: ended(snapshot),
      started: snapshot.started,
      due: due?.(snapshot.elapsedSeconds) ?? 0
    }
    spread(last.seconds, now.seconds, Math.max(0, now.chunks - last.chunks))
    if (now.seconds > last.seconds) moments.push(now)
    while (moments.length > 2 && now.seconds - moments[1]!.seconds >= RATE_WINDOW_SECONDS) moments.shift()

    const first = moments[0]!
    const span = now.seconds - first.seconds
    const perSecond = (count: (moment: Moment) => number) =>
      span <= 0 ? 0 : Math.max(0, count(now) - count(first)) / span
    const tokensPerChunk = snapshot.completedChunks === 0 ? 1 : snapshot.completedTokens / snapshot.completedChunks
    const full = Math.min(HISTORY_SECONDS, Math.floor(now.seconds))
    return {
      tokensPerSecond: perSecond((moment) => moment.chunks) * tokensPerChunk,
      tokensEachSecond: Array.from({ length: full }, (_, index) => {
        const at = Math.floor(now.seconds) - full + index
        return at > second ? 0 : chunks[at % chunks.length]! * tokensPerChunk
      }),
      endedPerSecond: perSecond((moment) => moment.ended),
      sentPerSecond: perSecond((moment) => moment.started),
      askedPerSecond: perSecond((moment) => moment.due)
    }
  }
}
