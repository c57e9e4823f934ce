/**
 * The live display of a run, on standard error: one line, drawn over and over on a terminal; without a terminal a plain
 * line every ten seconds.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import * as Terminal from "effect/Terminal"
import type { LiveSnapshot } from "../metrics/LiveStats.ts"
import { style } from "./internal/style.ts"
import * as Text from "./internal/text.ts"
import * as Screen from "./Screen.ts"

/**
 * - `snapshot`: the counters at a moment, nanoseconds of the monotonic clock
 * - `total`: how many requests there will be; `null` when that is not known
 * - `quiet`: shows nothing
 * - `screen`: what standard error can do; by default it is looked up
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly snapshot: (nowNanos: number) => LiveSnapshot
  readonly total: number | null
  readonly quiet?: boolean | undefined
  readonly screen?: Screen.Screen | undefined
}

/**
 * What a line shows: a snapshot and the tokens per second of the last seconds, estimated from the chunks that arrived and
 * the tokens per chunk of the answers that have ended.
 *
 * @category models
 * @since 0.1.0
 */
export interface Frame {
  readonly snapshot: LiveSnapshot
  readonly tokensPerSecond: number
  readonly total: number | null
}

const FRAME_MILLIS = 125
const PLAIN_MILLIS = 10_000
const RATE_WINDOW_SECONDS = 5

const CLEAR_LINE = "\r\u001B[2K"

/**
 * Shows the progress until it is interrupted; on a terminal it then takes the line away. Fork it beside the run. It never
 * fails: when standard error cannot be written to, it stops showing.
 *
 * @category running
 * @since 0.1.0
 */
export const run = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<never, never, Stdio.Stdio | Terminal.Terminal> {
  if (options.quiet === true) return yield* Effect.never
  const stdio = yield* Stdio.Stdio
  const clock = yield* Clock.Clock
  const terminal = yield* Terminal.Terminal
  const screen = options.screen ?? (yield* Screen.detect("stderr"))
  const write = (text: string) => Stream.run(Stream.succeed(text), stdio.stderr())
  const rate = makeRate()

  const draw = (render: (frame: Frame, columns: number) => string) =>
    Effect.gen(function* () {
      // The window may have been resized, or may not be known
      const columns = (yield* terminal.columns) || screen.columns
      const snapshot = options.snapshot(Number(clock.monotonicTimeNanosUnsafe()))
      yield* write(render({ snapshot, tokensPerSecond: rate(snapshot), total: options.total }, columns))
    })

  const showing = screen.animate
    ? draw((frame, columns) => CLEAR_LINE + renderLine(frame, { columns, color: screen.color })).pipe(
        Effect.andThen(Effect.sleep(FRAME_MILLIS)),
        Effect.forever,
        Effect.ensuring(Effect.ignore(write(CLEAR_LINE)))
      )
    : Effect.sleep(PLAIN_MILLIS).pipe(Effect.andThen(draw((frame) => `${renderPlain(frame)}\n`)), Effect.forever)
  // A closed standard error must not end the run
  return yield* showing.pipe(Effect.catch(() => Effect.never))
})

/**
 * The line on a terminal, at most `columns` − 1 wide: what does not fit is left out, the least important first.
 *
 * @category rendering
 * @since 0.1.0
 */
export const renderLine = (frame: Frame, options: { readonly columns: number; readonly color: boolean }): string => {
  const { snapshot, total } = frame
  const { bold, dim, green, red, yellow } = style(options.color)
  const done = snapshot.completed + snapshot.failed + snapshot.cancelled + snapshot.dropped
  const ttft = snapshot.recentTtft

  // Kept from the left as far as they fit
  const parts: Array<readonly [text: string, styled: string]> = []
  const part = (text: string, mark: (text: string) => string = (same) => same) => parts.push([text, mark(text)])
  part(total === null ? `${done} done` : `${done}/${total}`, bold)
  if (snapshot.failed > 0) part(`${snapshot.failed} failed`, red)
  if (snapshot.dropped > 0) part(`${snapshot.dropped} dropped`, red)
  if (snapshot.late > 0) part(`${snapshot.late} late`, yellow)
  part(Text.duration(snapshot.elapsedSeconds))
  part(`${snapshot.inFlight} in flight`)
  part(`~${frame.tokensPerSecond.toFixed(0)} tok/s`)
  if (ttft !== null) {
    part(`TTFT p50 ${milliseconds(ttft.p50)}`)
    part(`p99 ${milliseconds(ttft.p99)} ms`)
  }
  if (snapshot.failed === 0) part("0 failed", dim)
  if (snapshot.cancelled > 0) part(`${snapshot.cancelled} cancelled`, yellow)

  const room = Math.max(0, options.columns - 1)
  let plainWidth = 0
  let line = ""
  for (const [text, styled] of parts) {
    const gap = line === "" ? "" : "  "
    if (plainWidth + gap.length + text.length > room) break
    line += gap + styled
    plainWidth += gap.length + text.length
  }
  const barWidth = Math.min(BAR_COLUMNS, room - plainWidth - 2)
  if (total === null || total <= 0 || barWidth < MIN_BAR_COLUMNS) return line
  const filled = Math.min(barWidth, Math.floor((done / total) * barWidth))
  const bar = options.color
    ? green("━".repeat(filled)) + dim("━".repeat(barWidth - filled))
    : "#".repeat(filled) + "-".repeat(barWidth - filled)
  return `${bar}  ${line}`
}

const BAR_COLUMNS = 30
const MIN_BAR_COLUMNS = 8

/**
 * The line for a log, without colours and without its end.
 *
 * @category rendering
 * @since 0.1.0
 */
export const renderPlain = (frame: Frame): string => {
  const { snapshot, total } = frame
  const done = snapshot.completed + snapshot.failed + snapshot.cancelled + snapshot.dropped
  const ttft = snapshot.recentTtft
  const parts = [
    `${total === null ? done : `${done}/${total}`} requests done`,
    `${snapshot.inFlight} in flight`,
    `${snapshot.failed} failed`,
    ...(snapshot.cancelled > 0 ? [`${snapshot.cancelled} cancelled`] : []),
    ...(snapshot.late > 0 ? [`${snapshot.late} late`] : []),
    ...(snapshot.dropped > 0 ? [`${snapshot.dropped} dropped`] : []),
    `~${frame.tokensPerSecond.toFixed(0)} tok/s`,
    ...(ttft === null ? [] : [`TTFT p50 ${milliseconds(ttft.p50)} ms, p99 ${milliseconds(ttft.p99)} ms`])
  ]
  return `[${Text.duration(snapshot.elapsedSeconds)}] ${parts.join(", ")}`
}

const milliseconds = (seconds: number): string => Text.number(seconds * 1000)

/** Tokens per second over the last seconds, from one snapshot to the next. */
const makeRate = (): ((snapshot: LiveSnapshot) => number) => {
  const samples: Array<LiveSnapshot> = []
  return (snapshot) => {
    samples.push(snapshot)
    while (samples.length > 2 && snapshot.elapsedSeconds - samples[1]!.elapsedSeconds >= RATE_WINDOW_SECONDS) {
      samples.shift()
    }
    const first = samples[0]!
    const since = first === snapshot ? 0 : first.chunks
    const seconds = first === snapshot ? snapshot.elapsedSeconds : snapshot.elapsedSeconds - first.elapsedSeconds
    const tokensPerChunk = snapshot.completedChunks === 0 ? 1 : snapshot.completedTokens / snapshot.completedChunks
    return seconds <= 0 ? 0 : ((snapshot.chunks - since) * tokensPerChunk) / seconds
  }
}
