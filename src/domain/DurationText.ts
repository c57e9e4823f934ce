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

const within = (seconds: number): number | undefined => (seconds <= MOST_SECONDS ? seconds : undefined)
