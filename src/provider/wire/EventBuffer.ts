/**
 * Where decoders put what they read, until the reader of the stream takes it.
 *
 * @since 0.1.0
 */
import * as Arr from "effect/Array"
import { type ContentKind, type TokenEvent, type Usage } from "../../domain/TokenEvent.ts"

/**
 * Collects events. Consecutive chunks of one kind become one `Content` event, so that a token costs two array slots.
 *
 * @category models
 * @since 0.1.0
 */
export class EventBuffer {
  #events: Array<TokenEvent> = []
  #kind: ContentKind | undefined
  #at: Array<number> = []
  #text: Array<string> = []
  #firstAt: number | undefined
  #lastAt: number | undefined
  #usage: Usage | undefined

  get isEmpty(): boolean {
    return this.#events.length === 0 && this.#usage === undefined
  }

  /** Adds one chunk of generated text, which arrived at `at` (ns); empty text is no chunk. */
  content(kind: ContentKind, text: string, at: number): void {
    if (text === "") return
    this.#firstAt ??= at
    this.#lastAt = at
    if (kind !== this.#kind) {
      this.#kind = kind
      this.#at = []
      this.#text = []
      this.#events.push({ _tag: "Content", kind, at: this.#at, text: this.#text })
    }
    this.#at.push(at)
    this.#text.push(text)
  }

  /**
   * Adds the server's counts. Where every chunk tells them, only those of the moments of the first chunk and of the last are kept,
   * and the last of all that has not been taken: so chunks stay together.
   */
  usage(usage: Usage): void {
    const before = this.#usage
    const isKept = before !== undefined && (before.at === this.#firstAt || before.at === this.#lastAt)
    if (isKept && before.at !== usage.at) this.push(before)
    this.#usage = usage
  }

  push(event: TokenEvent): void {
    this.#settleUsage(event)
    this.#kind = undefined
    this.#events.push(event)
  }

  /** Empties the buffer; `undefined` when there is nothing in it. */
  take(): Arr.NonEmptyReadonlyArray<TokenEvent> | undefined {
    this.#settleUsage()
    const events = this.#events
    if (!Arr.isArrayNonEmpty(events)) return undefined
    this.#events = []
    this.#kind = undefined
    return events
  }

  /** The counts come before whatever comes next, but are not told twice. */
  #settleUsage(next?: TokenEvent): void {
    const usage = this.#usage
    this.#usage = undefined
    if (usage !== undefined && usage !== next) this.#events.push(usage)
  }
}
