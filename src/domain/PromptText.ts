/**
 * The text of a prompt, whatever the form in which a request holds it.
 *
 * @since 0.2.0
 */

/**
 * The text in a part of a request: a string, the `text` or `content` of an object, or those of the parts of a list.
 *
 * @category reading
 * @since 0.2.0
 */
export const textOf = (value: unknown): string => {
  if (typeof value === "string") return value
  if (Array.isArray(value)) {
    return value
      .map(textOf)
      .filter((text) => text !== "")
      .join("\n")
  }
  if (typeof value !== "object" || value === null) return ""
  if ("text" in value) return textOf(value.text)
  return "content" in value ? textOf(value.content) : ""
}
