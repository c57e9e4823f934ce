import * as LlmError from "../../domain/LlmError.ts"
import * as Json from "./json.ts"

/** Kinds of events that are named, and fields of one that has no name. */
const MOST_NAMES = 4
/** Characters of the first event that are shown. */
const MOST_SHOWN = 200

/**
 * Whether an answer is one of the API that was asked: whether anything in it has been recognised. Until then it keeps what
 * kinds of events came, so that the failure can name them.
 *
 * - `what`: what there should have been, such as `event of the Responses API`
 * - `flag`: which flag chooses another way to read answers
 */
export class Recognition {
  readonly #what: string
  readonly #flag: string
  #isSettled = false
  #count = 0
  readonly #names = new Set<string>()
  #first = ""

  constructor(what: string, flag: string) {
    this.#what = what
    this.#flag = flag
  }

  /** Once something has been recognised, nothing more needs to be looked at. */
  get isSettled(): boolean {
    return this.#isSettled
  }

  /** Adds an event. `name`: what the stream calls it, where it does. */
  add(isKnown: boolean, value: unknown, text: string, name = ""): void {
    if (this.#isSettled) return
    if (isKnown) {
      this.#isSettled = true
      this.#names.clear()
      return
    }
    if (this.#count++ === 0) this.#first = text.slice(0, MOST_SHOWN + 1)
    if (this.#names.size <= MOST_NAMES) this.#names.add(nameOf(value, name))
  }

  /** Why the answer is none of this API. `isOver`: whether its end mark came. `undefined` when it is one, or nothing came. */
  reason(isOver: boolean): LlmError.Protocol | undefined {
    if (this.#isSettled || (this.#count === 0 && !isOver)) return undefined
    const question = `is this the right ${this.#flag}?`
    if (this.#count === 0) {
      return new LlmError.Protocol({
        description: `200 without any ${this.#what}: nothing but the end marker came; ${question}`
      })
    }
    const names = [...this.#names]
    const listed = `${names.slice(0, MOST_NAMES).join(", ")}${names.length > MOST_NAMES ? ", …" : ""}`
    const first = this.#first.length > MOST_SHOWN ? `${this.#first.slice(0, MOST_SHOWN)}…` : this.#first
    return new LlmError.Protocol({
      description: `200 without any ${this.#what}: ${this.#count} ${this.#count === 1 ? "event" : "events"} named ${listed}; ${question} The first: ${first}`
    })
  }
}

/** What an event calls itself; its fields where it has no name. */
const nameOf = (value: unknown, name: string): string => {
  if (!Json.isObject(value)) return name || "nothing"
  const own = Json.text(value["type"]) ?? (name === "" || name === "message" ? Json.text(value["object"]) : name)
  return own === undefined ? `{${Object.keys(value).slice(0, MOST_NAMES).join(", ")}}` : own.slice(0, 60)
}
