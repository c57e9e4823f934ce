/** JSON as Python writes it, with bare `NaN` and `Infinity`, which become `null`. Throws where it is no such text. */
export const parseLoosely = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return JSON.parse(
      text.replaceAll(/"(?:[^"\\]|\\.)*"|-?\b(?:NaN|Infinity)\b/g, (found) => (found.startsWith('"') ? found : "null"))
    )
  }
}

/** No record is longer: the text of its answer is in it at most. */
const MOST_ELEMENT_CHARACTERS = 64 * 1024 * 1024

const QUOTE = 0x22
const COMMA = 0x2c
const BACKSLASH = 0x5c
const OPEN_LIST = 0x5b
const CLOSE_LIST = 0x5d
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d

const isSpace = (code: number): boolean => code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09

/**
 * Cuts the text of one list, which may come in any pieces, into the texts of its elements, so that a long list is never
 * held as a whole.
 */
export const makeElements = () => {
  let depth = 0
  let quoted = false
  let escaped = false
  let before = ""
  let state: "before" | "inside" | "after" | "broken" = "before"
  let anything = false

  const push = (text: string): Array<string> => {
    const elements: Array<string> = []
    let from = 0
    const cut = (to: number): void => {
      const element = before + text.slice(from, to)
      before = ""
      from = to + 1
      elements.push(element)
    }
    for (let at = 0; at < text.length; at++) {
      const code = text.charCodeAt(at)
      if (state !== "inside") {
        if (isSpace(code) || (state === "before" && code === 0xfeff)) continue
        state = state === "before" && code === OPEN_LIST ? "inside" : "broken"
        from = at + 1
        continue
      }
      if (escaped) escaped = false
      else if (quoted) {
        if (code === BACKSLASH) escaped = true
        else if (code === QUOTE) quoted = false
      } else if (code === QUOTE) quoted = true
      else if (code === OPEN_LIST || code === OPEN_OBJECT) depth++
      else if (depth > 0 && (code === CLOSE_LIST || code === CLOSE_OBJECT)) depth--
      else if (depth === 0 && code === COMMA) cut(at)
      else if (depth === 0 && code === CLOSE_LIST) {
        state = "after"
        if (anything || (before + text.slice(from, at)).trim() !== "") cut(at)
      }
      if (elements.length > 0) anything = true
    }
    if (state === "inside") before += text.slice(from)
    if (before.length > MOST_ELEMENT_CHARACTERS) {
      state = "broken"
      before = ""
    }
    return elements
  }

  return {
    push,
    /** Whether the text was one whole list. */
    isWhole: (): boolean => state === "after"
  }
}
