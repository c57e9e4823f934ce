import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as Decoder from "effect/encoding/Ndjson"
import * as fc from "fast-check"
import { makeJsonLines, MOST_LINE_BYTES } from "../../../src/output/internal/jsonLines.ts"

const inPieces = (bytes: Uint8Array, size: number): ReadonlyArray<Uint8Array> =>
  Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) => bytes.subarray(index * size, (index + 1) * size))

/** The values up to the first failure, and that failure. */
const ours = (pieces: ReadonlyArray<Uint8Array>) => {
  const lines = makeJsonLines()
  const values: Array<unknown> = []
  for (const piece of [...pieces, null]) {
    const found = piece === null ? lines.end() : lines.push(piece)
    values.push(...found.values)
    if (found.problem !== null) return { values, problem: found.problem }
  }
  return { values, problem: null }
}

const theirs = (pieces: ReadonlyArray<Uint8Array>): { readonly values: unknown; readonly problem: unknown } => {
  const values: Array<unknown> = []
  const result = Stream.fromIterable(pieces).pipe(
    Stream.pipeThroughChannel(Decoder.decode({ ignoreEmptyLines: true })),
    Stream.runForEach((value) => Effect.sync(() => values.push(value))),
    Effect.result,
    Effect.runSync
  )
  if (Result.isSuccess(result)) return { values, problem: null }
  const { reason, unterminated } = result.failure
  return { values, problem: { problem: reason, unterminated: unterminated === true } }
}

const line = fc.oneof(
  fc.json({ maxDepth: 2 }),
  fc.string({ unit: "binary" }).map((text) => JSON.stringify({ text })),
  fc.constantFrom("", "{torn", "\uFEFF", "\uFEFF{}", " 1 ")
)
const text = fc
  .array(fc.tuple(line, fc.constantFrom("\n", "\r\n")), { maxLength: 12 })
  .chain((lines) => line.map((last) => lines.map(([text, end]) => text + end).join("") + last))

describe("jsonLines", () => {
  it("finds the same values and the same failure as Effect's decoder, in pieces of any size", () => {
    fc.assert(
      fc.property(text, fc.nat({ max: 400 }), fc.integer({ min: 1, max: 60 }), (source, torn, size) => {
        const bytes = new TextEncoder().encode(source)
        const pieces = inPieces(bytes.subarray(0, Math.max(0, bytes.length - (torn < 20 ? torn : 0))), size)
        assert.deepStrictEqual<unknown>(ours(pieces), theirs(pieces))
      }),
      { numRuns: 2_000 }
    )
  })

  it("gives up a line that does not end, without holding more of it", () => {
    const piece = new Uint8Array(1024 * 1024).fill(97)
    const lines = makeJsonLines()
    let pushed = 0
    let problem = null
    while (problem === null && pushed < 2 * MOST_LINE_BYTES) {
      problem = lines.push(piece).problem
      pushed += piece.length
    }
    assert.deepStrictEqual(problem, { problem: "TooLong", unterminated: false })
    assert.isAtMost(pushed, MOST_LINE_BYTES + piece.length)
  })

  it("takes the lines before one that is no text", () => {
    const bytes = Uint8Array.from([...new TextEncoder().encode('1\n{"a":2}\n'), 0xff, 10, 51, 10])
    assert.deepStrictEqual(ours([bytes]), {
      values: [1, { a: 2 }],
      problem: { problem: "InvalidUtf8", unterminated: false }
    })
  })
})
