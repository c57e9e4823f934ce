/** Lines of JSON, cut from bytes that come in any pieces. */

const NEWLINE = 10

/** No record is longer: the text of its answer is in it at most. */
export const MOST_LINE_BYTES = 64 * 1024 * 1024

/** Why a line is none; of one that is too long no more is read. `unterminated`: it is the last one, and has no end. */
export interface LineProblem {
  readonly problem: "InvalidJson" | "InvalidUtf8" | "TooLong"
  readonly unterminated: boolean
}

/** The values of whole lines up to the first that is none. */
export interface Found {
  readonly values: ReadonlyArray<unknown>
  readonly problem: LineProblem | null
}

/**
 * All lines of a piece become text at once: that is quicker than line by line, and much quicker than byte by byte. Empty lines
 * are left out. `end` gives what comes after the last end of a line.
 */
export const makeJsonLines = () => {
  // The first that it reads may begin with a mark; a character is never cut, for only whole lines are read
  let decoder = new TextDecoder("utf-8", { fatal: true })
  let held: Array<Uint8Array> = []
  let heldBytes = 0

  const read = (bytes: Uint8Array, unterminated: boolean): Found => {
    const values: Array<unknown> = []
    const found = (problem: LineProblem["problem"], isLast = true): Found => ({
      values,
      problem: { problem, unterminated: unterminated && isLast }
    })
    let text: string
    try {
      text = decoder.decode(bytes)
    } catch {
      // Those before the line that is no text count
      if (unterminated) return found("InvalidUtf8")
      return readEach(bytes)
    }
    decoder = plain
    const lines = text.includes("\r") ? text.split(/\r\n|\n|\r/) : text.split("\n")
    for (const [index, line] of lines.entries()) {
      if (line === "") continue
      try {
        values.push(JSON.parse(line))
      } catch {
        // What a carriage return ends has an end
        return found("InvalidJson", index === lines.length - 1)
      }
    }
    return { values, problem: null }
  }

  const readEach = (bytes: Uint8Array): Found => {
    const values: Array<unknown> = []
    for (let at = 0; at < bytes.length;) {
      const end = bytes.indexOf(NEWLINE, at)
      const { problem, values: more } = read(bytes.subarray(at, end), true)
      values.push(...more)
      if (problem !== null) return { values, problem: { ...problem, unterminated: false } }
      at = end + 1
    }
    return { values, problem: null }
  }

  return {
    push: (piece: Uint8Array): Found => {
      const end = piece.lastIndexOf(NEWLINE) + 1
      if (end === 0) {
        held.push(piece)
        heldBytes += piece.length
        if (heldBytes <= MOST_LINE_BYTES) return { values: [], problem: null }
        held = []
        return { values: [], problem: { problem: "TooLong", unterminated: false } }
      }
      const whole = held.length === 0 ? piece.subarray(0, end) : joined([...held, piece.subarray(0, end)])
      held = end === piece.length ? [] : [piece.subarray(end)]
      heldBytes = piece.length - end
      return read(whole, false)
    },
    end: (): Found => read(joined(held), true)
  }
}

const joined = (pieces: ReadonlyArray<Uint8Array>): Uint8Array => {
  const bytes = new Uint8Array(pieces.reduce((length, piece) => length + piece.length, 0))
  let at = 0
  for (const piece of pieces) {
    bytes.set(piece, at)
    at += piece.length
  }
  return bytes
}

const plain = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
