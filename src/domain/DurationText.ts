/**
 * Durations as people write them.
 *
 * @since 0.2.0
 */

const unitSeconds: ReadonlyMap<string, number> = new Map([
  ["ms", 0.001],
  ["milli", 0.001],
  ["millisecond", 0.001],
  ["s", 1],
  ["sec", 1],
  ["second", 1],
  ["m", 60],
  ["min", 60],
  ["minute", 60],
  ["h", 3_600],
  ["hour", 3_600],
  ["d", 86_400],
  ["day", 86_400]
])

/**
 * The longest duration that is taken, in seconds: 31 years. Clocks count nanoseconds.
 *
 * @category constants
 * @since 0.2.0
 */
export const MOST_SECONDS = 1_000_000_000

const part = /^(\d+(?:\.\d+)?)\s*([a-z]+)\s*/

/**
 * Seconds from `30s`, `1m30s`, `250ms`, `2 seconds` or a bare number of seconds; `undefined` when it is none of these.
 * Units are ms, s, m, h and d, their names, and the plurals of the names; case does not matter. `undefined` above `MOST_SECONDS`, too.
 *
 * @category parsing
 * @since 0.2.0
 */
export const parseSeconds = (text: string): number | undefined => {
  let rest = text.trim().toLowerCase()
  if (/^\d+(\.\d+)?$/.test(rest)) return within(Number(rest))
  if (rest === "") return undefined
  let milliseconds = 0
  while (rest !== "") {
    const [found, amount, unit = ""] = part.exec(rest) ?? []
    const size = unitSeconds.get(unit) ?? unitSeconds.get(unit.replace(/s$/, ""))
    if (found === undefined || size === undefined) return undefined
    milliseconds += Number(amount) * size * 1_000
    rest = rest.slice(found.length)
  }
  return within(milliseconds / 1_000)
}

const wholeUnits = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000]
] as const

/**
 * A duration as a flag takes it, in the largest units that fit: `10m`, `1m30s`, `250ms`.
 *
 * @category rendering
 * @since 0.2.0
 */
export const fromSeconds = (seconds: number): string => {
  let rest = seconds * 1_000
  let text = ""
  for (const [name, size] of wholeUnits) {
    const amount = Math.floor(rest / size)
    if (amount > 0) text += `${amount}${name}`
    rest -= amount * size
  }
  const last = rest < 1_000 && text === "" ? ([rest, "ms"] as const) : ([rest / 1_000, "s"] as const)
  const amount = Number(last[0].toPrecision(9))
  return text !== "" && amount === 0 ? text : `${text}${amount}${last[1]}`
}

const within = (seconds: number): number | undefined => (seconds <= MOST_SECONDS ? seconds : undefined)
