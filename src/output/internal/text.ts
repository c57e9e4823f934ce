import * as CliOutput from "effect/cli/CliOutput"

/** How many columns a text takes on a terminal. */
export const width = CliOutput.displayWidth

export const padStart = (text: string, columns: number): string => " ".repeat(Math.max(0, columns - width(text))) + text

export const padEnd = (text: string, columns: number): string => text + " ".repeat(Math.max(0, columns - width(text)))

const characters = new Intl.Segmenter()

/** Cuts a text without marks to so many columns; `…` says that it was cut. */
export const truncate = (text: string, columns: number): string => {
  if (width(text) <= columns) return text
  let cut = ""
  let used = 0
  for (const { segment } of characters.segment(text)) {
    const next = width(segment)
    if (used + next > columns - 1) break
    cut += segment
    used += next
  }
  return columns < 1 ? "" : `${cut}…`
}

/** One line of what may have several; control characters, which could move the cursor or recolour the screen, are gone. */
// eslint-disable-next-line no-control-regex
export const oneLine = (text: string): string => text.replaceAll(/[\u0000-\u001F\u007F-\u009F\s]+/g, " ").trim()

/** Puts words into lines of at most so many columns. A word that is longer is cut. */
export const wrap = (text: string, columns: number): Array<string> => {
  const lines: Array<string> = []
  let line = ""
  for (const word of text.split(" ")) {
    const candidate = line === "" ? word : `${line} ${word}`
    if (line !== "" && width(candidate) > columns) {
      lines.push(line)
      line = truncate(word, columns)
    } else {
      line = truncate(candidate, columns)
    }
  }
  lines.push(line)
  return lines
}

/** Puts words into lines of at most so many columns, a mark before the first and as much space before the others. */
export const hanging = (mark: string, text: string, columns: number): Array<string> =>
  wrap(oneLine(text), columns - mark.length).map((line, index) => (index === 0 ? mark : " ".repeat(mark.length)) + line)

/** Seconds for people: `0.4 s`, `12.4 s`, `3m 05s`, `1h 02m`. */
export const duration = (seconds: number): string => {
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`
  const whole = Math.round(seconds)
  const hours = Math.floor(whole / 3600)
  const minutes = Math.floor((whole % 3600) / 60)
  return hours > 0
    ? `${hours}h ${String(minutes).padStart(2, "0")}m`
    : `${minutes}m ${String(whole % 60).padStart(2, "0")}s`
}

/** Fewer decimals the larger a number is, so that it keeps about four digits. */
export const decimals = (magnitude: number): number => {
  const size = Math.abs(magnitude)
  return size >= 1000 || size === 0 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3
}

/** A number with about four digits; `–` when it is not known. */
export const number = (value: number | null): string => (value === null ? "–" : value.toFixed(decimals(value)))

/** A share of one as percent. */
export const percent = (share: number): string => `${(share * 100).toFixed(1)} %`
