import * as fc from "fast-check"

/** Bodies of event streams in every form the standard allows, and ways to cut them. */

const lineEnd = fc.constantFrom("\n", "\r\n", "\r")

/** Text without line ends: words, other scripts, characters of 4 bytes, marks that combine, what has a meaning elsewhere. */
export const lineText: fc.Arbitrary<string> = fc
  .oneof(
    fc.string({ unit: "binary", maxLength: 12 }),
    fc.string({ unit: "grapheme", maxLength: 6 }),
    fc.constantFrom(
      "",
      " ",
      ":",
      "data: ",
      "é漢😀",
      "e\u0301",
      "\u{10FFFF}",
      "\uFEFF",
      "\u2028",
      "\0",
      "[DONE]",
      "\u2402"
    )
  )
  .map((text) => text.replaceAll(/[\r\n]/g, "").toWellFormed())

const fieldLine = fc
  .tuple(
    fc.constantFrom("data", "data", "data", "event", "id", "retry", "other", ""),
    fc.constantFrom(":", ": "),
    lineText
  )
  .map((parts) => parts.join(""))

const anyLine = fc.oneof(
  { weight: 4, arbitrary: fieldLine },
  { weight: 1, arbitrary: fc.constantFrom("data", "event", "retry: 10", "event: error", ":", ": ping") },
  { weight: 1, arbitrary: lineText },
  { weight: 3, arbitrary: fc.constant("") }
)

/** Any lines, each with any line end. */
const anyLines = fc.array(fc.tuple(anyLine, lineEnd), { maxLength: 12 }).map((lines) => lines.flat().join(""))

const plainEvent = lineText.map((text) => `data: ${text}\n\n`)

/** Text of a stream: mostly events as every server writes them, with everything else in between. */
const streamText = fc
  .tuple(
    fc.constantFrom("", "", "", "\uFEFF"),
    fc.array(
      fc.oneof(
        { weight: 4, arbitrary: plainEvent },
        { weight: 2, arbitrary: anyLines },
        { weight: 1, arbitrary: fc.constantFrom(": ping\n\n", "\n", "\r", "\r\n\r\n", "\uFEFFdata: x\n\n") }
      ),
      { maxLength: 10 }
    ),
    fc.constantFrom("", "", "", "data: unfinished", "data: unfinished\r", "dat", ": c", "data: 1\n")
  )
  .map(([bom, events, rest]) => Buffer.from(bom + events.join("") + rest))

const brokenBytes = fc
  .array(
    fc.oneof(
      streamText,
      fc.uint8Array({ maxLength: 6 }).map((bytes) => Buffer.from(bytes)),
      fc
        .constantFrom("e2", "f09f98", "eda080", "c0af", "ff", "efbbbf", "f4908080")
        .map((hex) => Buffer.from(hex, "hex"))
    ),
    { maxLength: 6 }
  )
  .map((parts) => Buffer.concat(parts))

/** Streams of well-formed text. */
export const sseBody: fc.Arbitrary<Buffer> = streamText

/** Streams with bytes in them that are no text. */
export const brokenSseBody: fc.Arbitrary<Buffer> = brokenBytes

/** Where to cut: nowhere, everywhere, or at some places, the same one twice among them (an empty piece). */
export type Cuts = "none" | "all" | ReadonlyArray<number>

export const cuts: fc.Arbitrary<Cuts> = fc.oneof(
  { weight: 1, arbitrary: fc.constant<Cuts>("none") },
  { weight: 1, arbitrary: fc.constant<Cuts>("all") },
  { weight: 4, arbitrary: fc.array(fc.nat(1_000_000), { maxLength: 12 }) }
)

/** The pieces of a body. Each is in memory of its own, as nothing says that a socket's buffer stays what it was. */
export const cut = (body: Buffer, cuts: Cuts): ReadonlyArray<Buffer> => {
  if (cuts === "none") return [Buffer.from(body)]
  const places =
    cuts === "all"
      ? Array.from(body, (_, index) => index)
      : cuts.map((place) => place % (body.length + 1)).toSorted((a, b) => a - b)
  const bounds = [0, ...places, body.length]
  return bounds.slice(1).map((to, index) => Buffer.from(body.subarray(bounds[index], to)))
}
