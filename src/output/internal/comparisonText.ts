import type { Interval } from "../../metrics/Bootstrap.ts"
import {
  type Difference,
  type MetricComparison,
  neededFor,
  type StatisticComparison,
  type StatisticName
} from "../../metrics/Comparison.ts"
import type { Judgement } from "../../metrics/Gate.ts"
import * as Text from "./text.ts"

type Unit = MetricComparison["unit"]

const MINUS = "−"

const fixed = (value: number, decimals: number): string => {
  const text = value.toFixed(decimals)
  return /^-0(?:\.0+)?$/.test(text) ? text.slice(1) : text.replace("-", MINUS)
}

/** With two decimals, and a real minus. */
export const twoDecimals = (value: number): string => fixed(value, 2)

/** Whether a number is shown relative to that of the first run. Shares are not: 0.2 % more of 1 % is hard to read. */
const isRelative = (unit: Unit, { relative }: StatisticComparison): boolean => unit !== "share" && relative !== null

/** How a number is written: its unit, what it is multiplied by, and how many decimals. */
interface Writing {
  readonly unit: string
  readonly scale: number
  readonly decimals: number
}

const percentDecimals = (percent: number): number => (percent >= 10 ? 0 : percent >= 1 ? 1 : 2)

const writing = (unit: Unit, ...values: ReadonlyArray<number | null>): Writing => {
  const size = Math.max(0, ...values.map((value) => Math.abs(value ?? 0)).filter(Number.isFinite))
  switch (unit) {
    case "s":
      return size < 60
        ? { unit: "ms", scale: 1_000, decimals: Text.decimals(size * 1_000) }
        : { unit: "s", scale: 1, decimals: Text.decimals(size) }
    case "share":
      return { unit: "%", scale: 100, decimals: percentDecimals(size * 100) }
    default:
      return { unit, scale: 1, decimals: Text.decimals(size) }
  }
}

const write = (value: number | null, { decimals, scale }: Writing): string =>
  value === null ? "–" : Number.isFinite(value) ? fixed(value * scale, decimals) : value > 0 ? "∞" : `${MINUS}∞`

/** A value with its unit: `312.5 ms`, `1.2 %`. */
export const amount = (unit: Unit, value: number | null): string => {
  const as = writing(unit, value)
  return value === null ? "–" : `${write(value, as)} ${as.unit}`
}

const points = "percentage points"

const differenceWriting = (unit: Unit, relative: boolean, { interval, value }: Difference): Writing => {
  if (!relative) return unit === "share" ? { ...shareWriting(value), unit: points } : writing(unit, value)
  const largest = Number.isFinite(value) && value !== 0 ? value : (interval?.high ?? 0)
  return shareWriting(largest)
}

const shareWriting = (share: number): Writing => ({
  unit: "%",
  scale: 100,
  decimals: percentDecimals(Math.abs(share) * 100)
})

const shown = (unit: Unit, statistic: StatisticComparison) => {
  const relative = isRelative(unit, statistic)
  const difference = relative ? statistic.relative : statistic.absolute
  return difference === null ? null : { difference, as: differenceWriting(unit, relative, difference) }
}

const signed = (value: number, as: Writing): string => {
  const text = write(value, as)
  return value > 0 && /[1-9∞]/.test(text) ? `+${text}` : text
}

/** The difference as a table shows it: `+12 %`. */
export const change = (unit: Unit, statistic: StatisticComparison): string => {
  const found = shown(unit, statistic)
  return found === null ? "–" : `${signed(found.difference.value, found.as)} ${short(found.as.unit)}`
}

/** The interval as a table shows it: `+4…+19 %`. */
export const range = (unit: Unit, statistic: StatisticComparison): string => {
  const found = shown(unit, statistic)
  const interval = found?.difference.interval ?? null
  return found === null || interval === null
    ? "–"
    : `${signed(interval.low, found.as)}…${signed(interval.high, found.as)} ${short(found.as.unit)}`
}

const short = (unit: string): string => (unit === points ? "pp" : unit)

/** Both values and their unit, written alike. */
export const pair = (unit: Unit, { baseline, candidate }: StatisticComparison) => {
  const as = writing(unit, baseline, candidate)
  return { unit: as.unit, baseline: write(baseline, as), candidate: write(candidate, as) }
}

/** `TTFT p99`, `output throughput`. */
export const nameOf = ({ label }: Pick<MetricComparison, "label">, { statistic }: StatisticComparison): string =>
  statistic === "value" ? label : `${label} ${statistic}`

export const capital = (text: string): string => text.slice(0, 1).toUpperCase() + text.slice(1)

/** `TTFT p99 is 12 % higher (95 % CI 4…19 %)`, or that nothing can be said. */
export const sentence = (metric: MetricComparison, statistic: StatisticComparison): string => {
  const name = capital(nameOf(metric, statistic))
  const found = shown(metric.unit, statistic)
  const interval = found?.difference.interval ?? null
  if (found === null) return `${name}: one of the runs has no such number`
  if (statistic.shown === "unknown" || interval === null) return `${name}: too few requests to say anything`
  if (statistic.shown === "none") {
    return `${name}: no difference that this sample can show (95 % CI ${range(metric.unit, statistic)})`
  }
  const { as, difference } = found
  const way = statistic.shown === "higher" ? 1 : -1
  const size = write(way * difference.value, as)
  return `${name} is ${size} ${as.unit} ${statistic.shown} (95 % CI ${bounds(interval, way, as)})`
}

/** Bounds of how much higher or lower: the smaller first. */
const bounds = ({ high, low }: Interval, way: number, as: Writing): string => {
  const [from, to] = way > 0 ? [low, high] : [-high, -low]
  return `${write(from, as)}…${write(to, as)} ${short(as.unit)}`
}

/** What became of a rule: the difference that it is about, in a few words, or why it cannot be judged. */
export const judged = ({ difference, rule, unknown }: Judgement, metric: MetricComparison | undefined): string => {
  if (difference === null || metric === undefined) return "cannot be judged: the runs do not both have this number"
  const relative = rule.kind === "relative"
  const as = differenceWriting(metric.unit, relative, difference)
  const { interval, value } = difference
  const around =
    interval === null ? "" : `, 95 % CI ${signed(interval.low, as)}…${signed(interval.high, as)} ${short(as.unit)}`
  const found = `${signed(value, as)} ${short(as.unit)}${around}`
  switch (unknown) {
    case null:
      return found
    case "few":
      return `cannot be judged: ${fewFor(rule.statistic, metric)} (found ${found})`
    default:
      return `cannot be judged: nothing is known of how far ${found} may be off`
  }
}

/** `p99`, `a mean`, `a total`. */
export const statisticName = (statistic: StatisticName): string =>
  statistic === "value" ? "a total" : statistic === "mean" ? "a mean" : statistic

/** What a gate does that cannot be judged. */
export const ofUnknown = (what: "run" | "comparison", { allowUnknown }: { readonly allowUnknown: boolean }): string =>
  allowUnknown ? "passes with --allow-unknown" : `fails the ${what} (--allow-unknown lets it pass)`

/** `p99 needs 1000 requests, and there are 5 and 7`. */
const fewFor = (name: StatisticName, { count, statistics }: MetricComparison): string => {
  const needed = statistics.find(({ statistic }) => statistic === name)?.needed ?? neededFor(name)
  const why = needed > neededFor(name) ? " where neighbouring requests are so much alike" : ""
  return `${statisticName(name)} needs ${needed} requests${why}, and there are ${count.baseline} and ${count.candidate}`
}
