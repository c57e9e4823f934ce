/**
 * A run in progress as a few lines on a terminal.
 *
 * @since 0.2.0
 */
import type { LiveSnapshot, Recent } from "../metrics/LiveStats.ts"
import type * as Verdict from "../metrics/Verdict.ts"
import { NOTABLE_SHARE } from "./CacheText.ts"
import { bar } from "./internal/panelBar.ts"
import * as History from "./internal/panelHistory.ts"
import { line, type Part } from "./internal/panelLine.ts"
import * as PanelText from "./internal/panelText.ts"
import { sparkline } from "./internal/sparkline.ts"
import { style, type Style } from "./internal/style.ts"
import * as VerdictText from "./VerdictText.ts"

/**
 * What is shown.
 *
 * - `total`: how many requests there will be; `null` when that is not known
 * - `tokensPerSecond`: of the last seconds; `tokensEachSecond`: of each second of the last minute, the oldest first
 * - `endedPerSecond`: requests that ended in the last seconds, per second
 * - `rate`: requests per second of the last seconds that were due and that were sent; `null` when nothing is due
 * - `secondsLeft`: `null` when that is not known
 * - `places`: most requests in flight; `null` for no limit
 * - `senders`: who sends
 * - `verdict`: so far; `null` when there is none yet
 *
 * @category models
 * @since 0.2.0
 */
export interface Frame {
  readonly snapshot: LiveSnapshot
  readonly total: number | null
  readonly tokensPerSecond: number
  readonly tokensEachSecond: ReadonlyArray<number>
  readonly endedPerSecond: number
  readonly rate: { readonly asked: number; readonly sent: number } | null
  readonly secondsLeft: number | null
  readonly places: number | null
  readonly senders: Senders
  readonly verdict: Verdict.Grade | null
}

/**
 * Who sends the requests together, and how they are called.
 *
 * @category models
 * @since 0.2.0
 */
export interface Senders {
  readonly count: number
  readonly name: "workers" | "agents"
}

/**
 * How large the terminal is, in columns and rows, and what it can show: colours, and characters beyond ASCII.
 *
 * @category models
 * @since 0.2.0
 */
export interface Look {
  readonly columns: number
  readonly rows: number
  readonly color: boolean
  readonly unicode: boolean
}

const MAX_COLUMNS = 100
/** Below these, labels and gaps are smaller and some words are left out. */
const COMFORTABLE_COLUMNS = 76
const MIN_BAR_COLUMNS = 8
const MIN_SPARKLINE_COLUMNS = 8
/** Widths of numbers that must not push about what follows them. */
const TIME_COLUMNS = 7
const AMOUNT_COLUMNS = 5
const IN_FLIGHT_COLUMNS = 3

/** A line with a name. `rank`: where there are few rows, the highest are left out. */
interface Row {
  readonly label: string
  readonly parts: ReadonlyArray<Part>
  readonly rank: number
}

/**
 * The panel in lines, none of which is as wide as the terminal; a line has no line break. The first is empty: the cursor waits on it
 * (see `draw`). What does not fit is left out, the least important first.
 *
 * @category rendering
 * @since 0.2.0
 */
export const render = (frame: Frame, look: Look): ReadonlyArray<string> => {
  const marks = style(look.color)
  const isWide = look.columns >= COMFORTABLE_COLUMNS
  const indent = isWide ? "  " : " "
  const columns = Math.max(0, Math.min(MAX_COLUMNS, look.columns - 1) - indent.length)
  if (!frame.snapshot.isRunning) {
    return ["", indented(indent, line([{ text: "getting ready", mark: marks.dim, rank: 0 }], columns, 1))]
  }
  const labelColumns = isWide ? 14 : 10
  const gap = isWide ? 4 : 2
  const view: View = { frame, look, marks, isWide, gap, columns, room: Math.max(0, columns - labelColumns) }
  const rows = [...requests(view), tokens(view), ...times(view), ...rate(view), ...lost(view), ...verdict(view)]
    .map(({ label, parts, rank }) => ({ label, rank, text: line(forWidth(parts, isWide), view.room, gap) }))
    .filter(({ text }) => text !== "")
  // One row of the terminal is for the cursor, one for the bar, one is left to what was there before
  const mostRank = rows.map(({ rank }) => rank).toSorted((a, b) => a - b)[look.rows - 4] ?? Number.POSITIVE_INFINITY
  return [
    "",
    indented(indent, progress(view)),
    ...rows
      .filter(({ rank }) => look.rows > 3 && rank <= mostRank)
      .map(({ label, text }) => indent + marks.dim(label.padEnd(labelColumns)) + text)
  ]
}

const indented = (indent: string, text: string): string => (text === "" ? "" : indent + text)

const forWidth = (parts: ReadonlyArray<Part>, isWide: boolean): ReadonlyArray<Part> =>
  isWide ? parts : parts.flatMap((part) => (part.short === "" ? [] : { ...part, text: part.short ?? part.text }))

interface View {
  readonly frame: Frame
  readonly look: Look
  readonly marks: Style
  readonly isWide: boolean
  readonly gap: number
  /** Of a whole line, and of what follows its label. */
  readonly columns: number
  readonly room: number
}

const progress = ({ columns, frame, gap, isWide, look, marks }: View): string => {
  const { secondsLeft, snapshot, total } = frame
  const parts: Array<Part> = [
    { text: `${PanelText.clock(snapshot.elapsedSeconds)}${isWide ? " elapsed" : ""}`, rank: 0 },
    ...(secondsLeft === null ? [] : [{ text: `${PanelText.clock(secondsLeft)} left`, rank: 1 }])
  ]
  if (total === null || total <= 0) return line(parts, columns, gap)
  const share = Math.min(1, History.ended(snapshot) / total)
  const percent = `${String(Math.floor(share * 100)).padStart(3)} %`
  const numbers: ReadonlyArray<Part> = [{ text: percent, mark: marks.bold, rank: 0 }, ...parts]
  const barColumns = columns - 1 - numbers.reduce((sum, { text }) => sum + gap + text.length, -gap)
  if (barColumns < MIN_BAR_COLUMNS) return line(numbers, columns, gap)
  return `${bar(share, barColumns, { unicode: look.unicode, style: marks })} ${line(numbers, columns, gap)}`
}

const requests = ({ frame, isWide, marks }: View): ReadonlyArray<Row> => {
  const { places, senders, snapshot, total } = frame
  const { cancelled, failed, inFlight } = snapshot
  const done = History.ended(snapshot)
  const most = total === null ? "" : String(total)
  const count = total === null ? `${done} done` : `${done} of ${most}`.padEnd(2 * most.length + 4)
  const place = places === null ? "" : ` of ${places}`
  // An answer that is not counted yet holds no place any more
  const holding = Math.min(inFlight, places ?? inFlight)
  const held = `${String(holding).padStart(places === null ? IN_FLIGHT_COLUMNS : String(places).length)}${place}`
  const speed: ReadonlyArray<Part> =
    frame.rate === null ? [{ text: `${PanelText.rate(frame.endedPerSecond).padStart(4)} req/s`, rank: 4 }] : []
  const ends: ReadonlyArray<Part> = [
    { text: count, short: total === null ? count : `${done}/${most}`, mark: marks.bold, rank: 0 },
    ...(isWide ? [{ text: `${held} in flight`, rank: 2 }] : []),
    failed > 0
      ? { text: `${failed} failed`, mark: marks.red, rank: 1 }
      : { text: "0 failed", mark: marks.dim, rank: 6 },
    ...(cancelled > 0 ? [{ text: `${cancelled} cancelled`, mark: marks.yellow, rank: 3 }] : [])
  ]
  const team: ReadonlyArray<Part> =
    senders.count > 1
      ? [
          {
            text: PanelText.senders(senders, snapshot.lost.length),
            mark: snapshot.lost.length > 0 ? marks.red : marks.dim,
            rank: snapshot.lost.length > 0 ? 2 : 5
          }
        ]
      : []
  if (isWide) return [{ label: "requests", rank: 1, parts: [...ends, ...speed, ...team] }]
  return [
    { label: "requests", rank: 1, parts: ends },
    { label: "in flight", rank: 4, parts: [{ text: held.trimStart(), rank: 0 }, ...speed, ...team] }
  ]
}

/** The last that was lost, and why. */
const lost = ({ frame, marks }: View): ReadonlyArray<Row> => {
  const last = frame.snapshot.lost.at(-1)
  if (last === undefined) return []
  const parts = [
    { text: last.name, mark: marks.red, rank: 0 },
    { text: last.problem, rank: 1 }
  ]
  return [{ label: "lost", rank: 0, parts }]
}

const tokens = ({ frame, gap, isWide, look, marks, room }: View): Row => {
  const { tokensEachSecond, tokensPerSecond } = frame
  const now = PanelText.amount(tokensPerSecond).padEnd(AMOUNT_COLUMNS)
  const peak = `peak ${PanelText.amount(Math.max(0, ...tokensEachSecond)).padEnd(AMOUNT_COLUMNS)}`
  const columns = Math.min(History.HISTORY_SECONDS, room - now.length - gap - (isWide ? peak.length + gap : 0))
  const line = sparkline(tokensEachSecond, {
    first: Math.floor(frame.snapshot.elapsedSeconds) - tokensEachSecond.length,
    most: History.HISTORY_SECONDS,
    columns,
    unicode: look.unicode
  })
  const isDrawn = columns >= MIN_SPARKLINE_COLUMNS && tokensEachSecond.length > 0
  return {
    label: isWide ? "tokens/s" : "tok/s",
    rank: 2,
    parts: [
      { text: isDrawn ? now : now.trimEnd(), mark: marks.bold, rank: 0 },
      ...(isDrawn && isWide ? [{ text: peak, mark: marks.dim, rank: 2 }] : []),
      ...(isDrawn ? [{ text: line, mark: marks.green, rank: 1 }] : [])
    ]
  }
}

/** How much of the prompts the server had in its cache, where that is worth a word. */
const cached = ({ frame, marks }: View): ReadonlyArray<Part> => {
  const { cacheableTokens, cachedTokens } = frame.snapshot
  const share = cacheableTokens === 0 ? 0 : cachedTokens / cacheableTokens
  return share <= NOTABLE_SHARE
    ? []
    : [
        {
          text: `${Math.round(share * 100)} % of input cached`,
          short: `${Math.round(share * 100)} % cached`,
          mark: marks.yellow,
          rank: 2
        }
      ]
}

const times = (view: View): ReadonlyArray<Row> => {
  const { isWide } = view
  const { recentGap, recentLag, recentTtft } = view.frame.snapshot
  const ttft = timesOf(view, "TTFT", recentTtft, 3)
  return [
    { ...ttft, parts: [...ttft.parts, ...cached(view)] },
    timesOf(view, isWide ? "chunk gap" : "gap", recentGap, 7),
    timesOf(view, isWide ? "dispatch lag" : "lag", recentLag, 8)
  ]
}

const timesOf = ({ frame, look, marks }: View, label: string, recent: Recent | null, rank: number): Row => {
  if (recent === null) return { label, rank, parts: [{ text: look.unicode ? "–" : "-", mark: marks.dim, rank: 0 }] }
  const { count, p50, p99 } = recent
  const seconds = Math.max(LABELLED_SECONDS, Math.round(frame.snapshot.recentSeconds))
  return {
    label,
    rank,
    parts: [
      { text: `p50 ${PanelText.time(p50).padStart(TIME_COLUMNS)}`, rank: 0 },
      { text: `p99 ${PanelText.time(p99).padStart(TIME_COLUMNS)}`, rank: 1 },
      { text: `${PanelText.amount(count)} in the last ${seconds} s`, short: "", mark: marks.dim, rank: 3 }
    ]
  }
}

/** What is shown is of so many seconds at most, unless the clock makes leaps. */
const LABELLED_SECONDS = 10

const rate = ({ frame, marks }: View): ReadonlyArray<Row> => {
  if (frame.rate === null) return []
  const { asked, sent } = frame.rate
  const { dropped, late, queued } = frame.snapshot
  const count = (number: number, what: string, mark: (text: string) => string, rank: number): Part =>
    number > 0 ? { text: `${number} ${what}`, mark, rank } : { text: `0 ${what}`, mark: marks.dim, rank: rank + 3 }
  return [
    {
      label: "rate",
      rank: 6,
      parts: [
        {
          text: `${PanelText.rate(sent)} of ${PanelText.rate(asked)} req/s sent`,
          short: `${PanelText.rate(sent)}/${PanelText.rate(asked)} req/s`,
          rank: 0
        },
        count(dropped, "dropped", marks.red, 1),
        count(late, "late", marks.yellow, 2),
        count(queued, "queued", marks.yellow, 3)
      ]
    }
  ]
}

const verdict = ({ frame, marks }: View): ReadonlyArray<Row> => {
  if (frame.verdict === null) return []
  const mark = frame.verdict === "VALID" ? marks.green : frame.verdict === "DEGRADED" ? marks.yellow : marks.red
  return [{ label: "verdict", rank: 5, parts: [{ text: `${VerdictText.word(frame.verdict)} so far`, mark, rank: 0 }] }]
}

const CLEAR_TO_END_OF_LINE = "\u001B[K"
const CLEAR_BELOW = "\u001B[J"
// From the very first place of the screen on, tmux keeps what is cleared
const RIGHT = "\u001B[C"
const NO_WRAP = "\u001B[?7l"
const WRAP = "\u001B[?7h"
/** Stays on the last row of the terminal, where a line feed would scroll. */
const DOWN = "\u001B[B"
const SAVE = "\u001B7"
const RESTORE = "\u001B8"

/**
 * What to write so that these lines stand from the line of the cursor on, in the place of those that stood there. The cursor ends where
 * it was: on the first line, which is empty, so that whatever else is written to the terminal has a line of its own, and the lines can
 * be taken away from there whatever a change of the window's size has made of them. Lines that are too wide after such a change are
 * cut by the terminal. Where it has fewer rows than was known when they were made, those too many share the last row: only empty
 * lines are ever scrolled, so none is left above.
 *
 * @category drawing
 * @since 0.2.0
 */
export const draw = (lines: ReadonlyArray<string>): string => {
  const more = lines.length - 1
  const room = more > 0 ? `${"\n".repeat(more)}\u001B[${more}A\r` : ""
  return `${NO_WRAP}${erase}${room}${SAVE}${lines.join(`${CLEAR_TO_END_OF_LINE}\r${DOWN}`)}${CLEAR_TO_END_OF_LINE}${RESTORE}${WRAP}`
}

/**
 * What to write so that the lines are gone and the cursor is where they began: before anything else is written.
 *
 * @category drawing
 * @since 0.2.0
 */
export const erase = `\r${RIGHT}${CLEAR_BELOW}\r${CLEAR_TO_END_OF_LINE}`
