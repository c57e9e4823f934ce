import * as Stream from "effect/Stream"

/** A write costs as much for a line as for this. */
const PIECE_CHARACTERS = 256 * 1024

/** Pieces of a text that wait for others. They are joined once: texts that are added to one by one are dear to collect. */
interface Held {
  readonly texts: Array<string>
  length: number
}

const none = (): Held => ({ texts: [], length: 0 })

/** The bytes of a text that comes in any pieces, in pieces of some size. */
export const textBytes = <E, R>(texts: Stream.Stream<string, E, R>): Stream.Stream<Uint8Array, E, R> =>
  texts.pipe(
    Stream.mapAccumArray(
      none,
      (held, more): readonly [Held, ReadonlyArray<string>] => {
        for (const text of more) {
          held.texts.push(text)
          held.length += text.length
        }
        return held.length < PIECE_CHARACTERS ? [held, []] : [none(), [held.texts.join("")]]
      },
      { onHalt: ({ texts }) => (texts.length === 0 ? [] : [texts.join("")]) }
    ),
    Stream.encodeText
  )
