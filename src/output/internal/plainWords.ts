/** A value of a JSON document in words: `none`, `0.7`, `type json_object, strict true`. */
export const valueInWords = (value: unknown): string => {
  if (value === undefined || value === null) return "none"
  if (Array.isArray(value)) return value.length === 0 ? "none" : value.map(valueInWords).join(", ")
  if (typeof value !== "object") return String(value)
  const entries = Object.entries(value)
  return entries.length === 0 ? "none" : entries.map(([key, inner]) => `${key} ${innerInWords(inner)}`).join(", ")
}

const innerInWords = (value: unknown): string =>
  typeof value === "object" ? `(${valueInWords(value)})` : valueInWords(value)

/** A text that may end in a JSON document, such as what a server answered, with that in words. */
export const withoutJson = (text: string): string => {
  const at = text.search(/[{[]/)
  if (at < 0) return text
  try {
    const value: unknown = JSON.parse(text.slice(at))
    return text.slice(0, at) + valueInWords(value)
  } catch {
    return text
  }
}
