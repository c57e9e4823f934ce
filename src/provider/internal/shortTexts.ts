/** Longest text that is remembered, in bytes, and how many of them are. */
const longest = 24
const slots = 4_096

const remembered: Array<string> = Array.from({ length: slots }, () => "")

/**
 * The text of bytes that are all ASCII, and whose `hash` is any number that depends on nothing but them. Models say the same
 * words over and over: a short text that was made before is found again, which costs less than to make it and leaves
 * nothing to clean up.
 */
export const asciiText = (bytes: Buffer, start: number, end: number, hash: number): string => {
  const length = end - start
  if (length > longest) return bytes.toString("latin1", start, end)
  const slot = hash & (slots - 1)
  const found = remembered[slot] ?? ""
  if (found.length === length) {
    let i = 0
    while (i < length && found.charCodeAt(i) === bytes[start + i]) i++
    if (i === length) return found
  }
  return (remembered[slot] = bytes.toString("latin1", start, end))
}
