/**
 * Where decoders put what they read, until the reader of the stream takes it.
 *
 * @since 0.1.0
 */
import * as Arr from "effect/Array"
import { type ContentKind, type TokenEvent } from "../../domain/TokenEvent.ts"

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

  get isEmpty(): boolean {
    return this.#events.length === 0
  }

  /** Adds one chunk of generated text, which arrived at `at` (ns); empty text is no chunk. */
  content(kind: ContentKind, text: string, at: number): void {
    if (text === "") return
    if (kind !== this.#kind) {
      this.#kind = kind
      this.#at = []
      this.#text = []
      this.#events.push({ _tag: "Content", kind, at: this.#at, text: this.#text })
    }
    this.#at.push(at)
    this.#text.push(text)
  }

  push(event: TokenEvent): void {
    this.#kind = undefined
    this.#events.push(event)
  }

  /** Empties the buffer; `undefined` when there is nothing in it. */
  take(): Arr.NonEmptyReadonlyArray<TokenEvent> | undefined {
    const events = this.#events
    if (!Arr.isArrayNonEmpty(events)) return undefined
    this.#events = []
    this.#kind = undefined
    return events
  }
}
