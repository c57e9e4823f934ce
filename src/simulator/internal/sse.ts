import * as Fault from "../Fault.ts"

/** How events are written; the standard allows all of it. */
export interface Style {
  readonly newline: string
  readonly space: string
  readonly multiLine: boolean
}

export const styleOf = (faults: ReadonlyArray<Fault.Fault>): Style => ({
  newline: Fault.find(faults, "crlf") === undefined ? "\n" : "\r\n",
  space: Fault.find(faults, "no-space") === undefined ? " " : "",
  multiLine: Fault.find(faults, "multi-line") !== undefined
})

/** An event whose data is `head` and `tail` together; between them a line may break. */
export const event = (style: Style, head: string, tail = ""): string => {
  const field = `data:${style.space}`
  const joint = style.multiLine && tail !== "" ? `${style.newline}${field}` : ""
  return `${field}${head}${joint}${tail}${style.newline}${style.newline}`
}

export const comment = (style: Style, text: string): string => `: ${text}${style.newline}${style.newline}`

/** An event with a name, as it is written when nothing asks for another style. */
export const named = (name: string, data: string): string => `event: ${name}\ndata: ${data}\n\n`
