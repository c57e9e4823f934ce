/**
 * The live display of a run, on standard error: a panel that is drawn over and over on a terminal (see `LivePanel`); without a
 * terminal a plain line every ten seconds, and one at once when a worker or an agent is lost.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import * as Terminal from "effect/Terminal"
import type { LiveSnapshot, Recent } from "../metrics/LiveStats.ts"
import type * as Verdict from "../metrics/Verdict.ts"
import * as History from "./internal/panelHistory.ts"
import * as PanelText from "./internal/panelText.ts"
import * as Text from "./internal/text.ts"
import * as LivePanel from "./LivePanel.ts"
import * as Screen from "./Screen.ts"
import * as VerdictText from "./VerdictText.ts"

/**
 * When the requests of an open loop are due.
 *
 * - `due`: how many are so many seconds after the start
 * - `seconds`: when the last one is
 *
 * @category models
 * @since 0.2.0
 */
export interface Schedule {
  readonly due: (elapsedSeconds: number) => number
  readonly seconds: number
}

/**
 * - `snapshot`: the counters at a moment, nanoseconds of the monotonic clock
 * - `total`: how many requests there will be; `null` when that is not known
 * - `quiet`: shows nothing
 * - `senders`: who sends; shown when there are several
 * - `places`: most requests in flight
 * - `timeoutSeconds`: the time after which the run ends in any case
 * - `schedule`: of an open loop
 * - `state`: the verdict so far
 * - `screen`: what standard error can do; by default it is looked up
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly snapshot: (nowNanos: number) => LiveSnapshot
  readonly total: number | null
  readonly quiet?: boolean | undefined
  readonly senders?: LivePanel.Senders | undefined
  readonly places?: number | null | undefined
  readonly timeoutSeconds?: number | null | undefined
  readonly schedule?: Schedule | null | undefined
  readonly state?: (() => Verdict.Grade | null) | undefined
  readonly screen?: Screen.Screen | undefined
}

const ALONE: LivePanel.Senders = { count: 1, name: "workers" }

const FRAME_MILLIS = 250
const PLAIN_MILLIS = 1_000
/** So many of them for a line. */
const PLAIN_STEPS = 10
const UNKNOWN_ROWS = 24

/**
 * The schedule of requests that are due at these times, in seconds from the start and in ascending order.
 *
 * @category constructors
 * @since 0.2.0
 */
export const scheduleOf = (offsetSeconds: ArrayLike<number>): Schedule => ({
  due: (elapsedSeconds) => {
    let first = 0
    let last = offsetSeconds.length
    while (first < last) {
      const middle = (first + last) >>> 1
      if ((offsetSeconds[middle] ?? 0) <= elapsedSeconds) first = middle + 1
      else last = middle
    }
    return first
  },
  seconds: offsetSeconds[offsetSeconds.length - 1] ?? 0
})

/**
 * Shows the progress until it is interrupted; on a terminal it then takes the panel away. Fork it beside the run. It never
 * fails: when standard error cannot be written to, it stops showing.
 *
 * Whoever writes something else to the terminal meanwhile writes `LivePanel.erase` before it; the panel then goes on below it.
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
  const frame = makeFrames(options)
  const plainLines = makePlainLines()
  const nextFrame = () => frame(options.snapshot(Number(clock.monotonicTimeNanosUnsafe())))

  const drawing = Effect.gen(function* () {
    // The window may have been resized, or may not be known
    const columns = (yield* terminal.columns) || screen.columns
    const rows = (yield* terminal.rows) || UNKNOWN_ROWS
    const { color, unicode = true } = screen
    yield* write(LivePanel.draw(LivePanel.render(nextFrame(), { columns, rows, color, unicode })))
  })

  const showing = screen.animate
    ? drawing.pipe(
        Effect.andThen(Effect.sleep(FRAME_MILLIS)),
        Effect.forever,
        Effect.ensuring(Effect.ignore(write(LivePanel.erase)))
      )
    : Effect.sleep(PLAIN_MILLIS).pipe(
        Effect.andThen(
          Effect.suspend(() => Effect.forEach(plainLines(nextFrame()), (line) => write(`${line}\n`), { discard: true }))
        ),
        Effect.forever
      )
  // A closed standard error must not end the run
  return yield* showing.pipe(Effect.catch(() => Effect.never))
})

/**
 * What is shown of snapshots that are taken one after another.
 *
 * @category constructors
 * @since 0.2.0
 */
export const makeFrames = (
  options: Omit<Options, "quiet" | "screen" | "snapshot">
): ((snapshot: LiveSnapshot) => LivePanel.Frame) => {
  const { places = null, schedule = null, state, timeoutSeconds = null, senders = ALONE, total } = options
  const motionOf = History.make(schedule?.due ?? null)
  return (snapshot) => {
    const { askedPerSecond, endedPerSecond, sentPerSecond, tokensEachSecond, tokensPerSecond } = motionOf(snapshot)
    const limit = timeoutSeconds === null ? Number.POSITIVE_INFINITY : timeoutSeconds - snapshot.elapsedSeconds
    const left = Math.min(
      limit,
      schedule === null ? toTheLast(snapshot, total) : schedule.seconds - snapshot.elapsedSeconds
    )
    return {
      snapshot,
      total,
      tokensPerSecond,
      tokensEachSecond,
      endedPerSecond,
      rate: schedule === null ? null : { asked: askedPerSecond, sent: sentPerSecond },
      // What is over is waited for, nobody knows how long
      secondsLeft: left < 0 || left === Number.POSITIVE_INFINITY ? null : left,
      places,
      senders,
      verdict: state?.() ?? null
    }
  }
}

/** Seconds until all are done if it goes on as it went on the whole. Those in flight are taken to be half done. */
const toTheLast = (snapshot: LiveSnapshot, total: number | null): number => {
  const ended = History.ended(snapshot)
  if (total === null || ended === 0) return Number.POSITIVE_INFINITY
  const done = Math.min(total, ended + snapshot.inFlight / 2)
  return ((total - done) * snapshot.elapsedSeconds) / done
}

/**
 * The line for a log, without colours and without its end.
 *
 * @category rendering
 * @since 0.1.0
 */
export const renderPlain = (frame: LivePanel.Frame): string => {
  const { rate, secondsLeft, senders, snapshot, total, verdict } = frame
  const { cancelled, dropped, elapsedSeconds, failed, inFlight, late, queued } = snapshot
  if (!snapshot.isRunning) return "getting ready"
  const done = History.ended(snapshot)
  const parts = [
    `${total === null ? done : `${done}/${total}`} requests done`,
    `${inFlight} in flight`,
    `${failed} failed`,
    ...(cancelled > 0 ? [`${cancelled} cancelled`] : []),
    ...(rate === null ? [] : [`${PanelText.rate(rate.sent)} of ${PanelText.rate(rate.asked)} req/s sent`]),
    ...(late > 0 ? [`${late} late`] : []),
    ...(queued > 0 ? [`${queued} queued`] : []),
    ...(dropped > 0 ? [`${dropped} dropped`] : []),
    `~${frame.tokensPerSecond.toFixed(0)} tok/s`,
    ...times("TTFT", snapshot.recentTtft),
    ...times("chunk gap", snapshot.recentGap),
    ...times("dispatch lag", snapshot.recentLag),
    ...(senders.count > 1 ? [PanelText.senders(senders, snapshot.lost.length)] : []),
    ...(verdict === null ? [] : [`${VerdictText.word(verdict)} so far`]),
    ...(secondsLeft === null ? [] : [`${PanelText.clock(secondsLeft)} left`])
  ]
  return `[${Text.duration(elapsedSeconds)}] ${parts.join(", ")}`
}

/** The lines of one second after another. */
const makePlainLines = () => {
  let seconds = 0
  let known = 0
  return (frame: LivePanel.Frame): ReadonlyArray<string> => {
    const { elapsedSeconds, lost } = frame.snapshot
    const news = lost
      .slice(known)
      .map(({ name, problem }) => `[${Text.duration(elapsedSeconds)}] ${name} was lost: ${problem}`)
    known = lost.length
    seconds++
    return seconds % PLAIN_STEPS === 0 ? [...news, renderPlain(frame)] : news
  }
}

const times = (name: string, recent: Recent | null): ReadonlyArray<string> =>
  recent === null ? [] : [`${name} p50 ${PanelText.time(recent.p50)} p99 ${PanelText.time(recent.p99)}`]
