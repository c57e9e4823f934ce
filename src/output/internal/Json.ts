/**
 * An object whose entries come out in this order. A plain object cannot promise that: names that look like integers
 * (`"429"`) move to its front. A map among the values is an object of the same kind.
 */
export type Ordered = ReadonlyMap<string, unknown>

const INDENT = "    "

/** JSON text with four spaces per level, as Python's `json.dump(…, indent=4)` writes it. */
export const stringifyOrdered = (object: Ordered, level = 0): string => {
  if (object.size === 0) return "{}"
  const inner = INDENT.repeat(level + 1)
  const lines: Array<string> = []
  for (const [key, value] of object) {
    const text =
      value instanceof Map ? stringifyOrdered(value, level + 1) : stringify(value).replaceAll("\n", `\n${inner}`)
    lines.push(`${inner}${JSON.stringify(key)}: ${text}`)
  }
  return `{\n${lines.join(",\n")}\n${INDENT.repeat(level)}}`
}

/** The same for any value. */
export const stringify = (value: unknown): string => JSON.stringify(value, null, INDENT)
