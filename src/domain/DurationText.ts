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

const part = /^(\d+(?:\.\d+)?)\s*([a-z]+)\s*/

/**
 * Seconds from `30s`, `1m30s`, `250ms`, `2 seconds` or a bare number of seconds; `undefined` when it is none of these.
 * Units are ms, s, m, h and d, their names, and the plurals of the names; case does not matter.
 *
 * @category parsing
 * @since 0.2.0
 */
export const parseSeconds = (text: string): number | undefined => {
  let rest = text.trim().toLowerCase()
  if (/^\d+(\.\d+)?$/.test(rest)) return Number(rest)
  if (rest === "") return undefined
  let milliseconds = 0
  while (rest !== "") {
    const [found, amount, unit = ""] = part.exec(rest) ?? []
    const size = unitSeconds.get(unit) ?? unitSeconds.get(unit.replace(/s$/, ""))
    if (found === undefined || size === undefined) return undefined
    milliseconds += Number(amount) * size * 1_000
    rest = rest.slice(found.length)
  }
  return milliseconds / 1_000
}
