/** Cuts the stream format of Arrow's IPC into its messages, so that a file is read a block at a time, and one that was cut off too. */

/** A message with its prefix and body. */
export type Frame = { readonly _tag: "Message"; readonly bytes: Uint8Array } | { readonly _tag: "End" }

const PREFIX_BYTES = 8
/** Far more than the description of a block takes. */
const MAX_DESCRIPTION_BYTES = 1024 * 1024

/** What a message is about. */
const RECORD_BATCH = 3

/** Where the field of a FlatBuffers table begins, `null` when it has its default. */
const fieldAt = (view: DataView, table: number, field: number): number | null => {
  const offsets = table - view.getInt32(table, true)
  const slot = 4 + 2 * field
  const offset = slot < view.getUint16(offsets, true) ? view.getUint16(offsets + slot, true) : 0
  return offset === 0 ? null : table + offset
}

const integerAt = (view: DataView, at: number | null): number => (at === null ? 0 : Number(view.getBigInt64(at, true)))

/** How long the body of a message is, by its description. */
const bodyBytes = (description: DataView): number =>
  integerAt(description, fieldAt(description, description.getUint32(0, true), 3))

const descriptionOf = (message: Uint8Array): DataView =>
  new DataView(message.buffer, message.byteOffset + PREFIX_BYTES, message.byteLength - PREFIX_BYTES)

/** How many rows are in a message; `null` when it is no block. */
export const rowsIn = (message: Uint8Array): number | null => {
  const view = descriptionOf(message)
  const table = view.getUint32(0, true)
  const kind = fieldAt(view, table, 1)
  const header = fieldAt(view, table, 2)
  if (kind === null || header === null || view.getUint8(kind) !== RECORD_BATCH) return null
  return integerAt(view, fieldAt(view, header + view.getUint32(header, true), 0))
}

/** `undefined` while it cannot be said; `null` when these are no messages. */
const lengthOf = (bytes: Uint8Array): number | null | undefined => {
  if (bytes.length < PREFIX_BYTES) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const description = view.getInt32(4, true)
  if (view.getInt32(0, true) !== -1 || description < 0 || description > MAX_DESCRIPTION_BYTES) return null
  if (description === 0) return PREFIX_BYTES
  const body = PREFIX_BYTES + description
  if (bytes.length < body) return undefined
  try {
    const length = bodyBytes(new DataView(bytes.buffer, bytes.byteOffset + PREFIX_BYTES, description))
    return length >= 0 && Number.isSafeInteger(length) ? body + length : null
  } catch (error) {
    if (error instanceof RangeError) return null
    throw error
  }
}

/**
 * Takes the bytes of a file in any pieces. `push` gives the messages that are whole by then; what comes after the end of
 * the stream is left out. `rest()` is how many bytes of an unfinished message there are, `isDamaged()` whether something else than
 * a message was found: nothing comes after that.
 */
export const makeFrames = () => {
  let pieces: Array<Uint8Array> = []
  let held = 0
  /** So many bytes are needed to go on. */
  let needed = PREFIX_BYTES
  let state: "reading" | "ended" | "damaged" = "reading"

  const push = (piece: Uint8Array): Array<Frame> => {
    const frames: Array<Frame> = []
    if (state !== "reading") return frames
    pieces.push(piece)
    held += piece.length
    if (held < needed) return frames
    let bytes = pieces.length === 1 ? piece : Buffer.concat(pieces)
    while (state === "reading") {
      const length = lengthOf(bytes)
      if (length === null) state = "damaged"
      else if (length === undefined || length > bytes.length) {
        needed = length ?? bytes.length + 1
        break
      } else if (length === PREFIX_BYTES) {
        frames.push({ _tag: "End" })
        bytes = bytes.subarray(0, 0)
        state = "ended"
      } else {
        frames.push({ _tag: "Message", bytes: bytes.subarray(0, length) })
        bytes = bytes.subarray(length)
      }
    }
    pieces = bytes.length === 0 ? [] : [bytes]
    held = bytes.length
    return frames
  }

  return { push, rest: () => held, isDamaged: () => state === "damaged" }
}
