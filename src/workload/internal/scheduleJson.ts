import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { checkColumns, type Target } from "./scheduleCsv.ts"
import type { Rows } from "./scheduleRows.ts"
import type { Parts } from "./scheduleText.ts"

type JsonObject = { readonly [key: string]: unknown }

// Such a line is no row of a trace, and must not fill the memory.
const LONGEST_LINE = 16 * 1_024 * 1_024

const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const parse = (line: string): unknown => {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

/** Reads one object a line; the keys of the first say what the file is. Gives nothing when there is no first, or it is wrong. */
export const read = Effect.fnUntraced(function* (parts: Parts, target: Target) {
  const { problems } = target
  let line = 0
  let unfinished = 0
  let object: JsonObject = {}
  let rows: Rows | undefined
  let stop = false

  const readFirst = (): void => {
    const keys = Object.keys(object)
    const format = target.formatOf(keys)
    stop = !checkColumns(line, format, keys, "a key of this name in the object", problems)
    if (stop) return
    rows = target.rowsOf(format, (key) => () => object[key])
  }

  const isTooLong = (): boolean => unfinished > LONGEST_LINE

  const take = (lines: ReadonlyArray<string>): void => {
    if (isTooLong()) return
    for (const text of lines) {
      line++
      if (text.trim() === "") continue
      const value = parse(text)
      if (!isObject(value)) {
        problems.add(line, null, text, "a JSON object on one line")
        continue
      }
      object = value
      if (rows === undefined) readFirst()
      if (stop) return
      rows?.read(line)
    }
  }

  yield* parts.pipe(
    Stream.takeUntil((part) => {
      const end = part.lastIndexOf("\n")
      unfinished = end === -1 ? unfinished + part.length : part.length - end
      return isTooLong()
    }),
    Stream.splitLines,
    Stream.mapArray((lines) => {
      take(lines)
      return [stop] as const
    }),
    Stream.takeUntil((stopped) => stopped),
    Stream.runDrain
  )
  if (isTooLong()) problems.add(null, null, undefined, `lines of at most ${LONGEST_LINE} characters`)
  return rows
})
