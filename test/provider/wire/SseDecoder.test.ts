import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import * as LlmError from "../../../src/domain/LlmError.ts"
import * as SseDecoder from "../../../src/provider/wire/SseDecoder.ts"
import * as bodies from "./bodies.ts"
import * as reference from "./reference.ts"

interface Seen {
  readonly data: string
  readonly event: string
  readonly at: number
}

/** Collects events; one whose data is `done` is the terminator, one whose data is `bad` is a failure. */
const collector = (isComplete = true) => {
  const seen: Array<Seen> = []
  let done = false
  const decoder = SseDecoder.make({
    onEvent: (data, event, at) => {
      if (data === "done") done = true
      else seen.push({ data, event, at })
      return data === "bad" ? new LlmError.InStream({ description: "bad", code: null, type: null }) : undefined
    },
    isComplete: () => isComplete,
    isDone: () => done
  })
  return { seen, decoder }
}

/** Decodes pieces; the piece that ends at byte n arrives at time n. */
const decode = (pieces: ReadonlyArray<Buffer>) => {
  const { decoder, seen } = collector()
  let at = 0
  for (const piece of pieces) {
    at += piece.length
    assert.isUndefined(decoder.push(piece, at))
    piece.fill(0)
  }
  assert.isUndefined(decoder.end(at))
  return seen
}

const decodeText = (text: string) => decode([Buffer.from(text)]).map(({ data, event }) => [event, data])

describe("SseDecoder", () => {
  it("gives the events of the standard's algorithm, whatever the form and wherever the body is cut", () => {
    fc.assert(
      fc.property(bodies.sseBody, bodies.cuts, (body, cuts) => {
        const pieces = bodies.cut(body, cuts)
        let end = 0
        const ends = pieces.map((piece) => (end += piece.length))
        const expected = reference.sseEvents(body).map(({ data, event, end }) => ({
          data,
          event,
          // An event has the time of the piece that brought its last byte.
          at: ends.find((pieceEnd) => pieceEnd >= end)
        }))
        assert.deepStrictEqual(decode(pieces), expected)
      }),
      { numRuns: 1_500 }
    )
  })

  it("replaces bytes that are no UTF-8 as the standard says, wherever the body is cut", () => {
    fc.assert(
      fc.property(bodies.brokenSseBody, bodies.cuts, (body, cuts) => {
        const events = (seen: ReadonlyArray<{ readonly data: string; readonly event: string }>) =>
          seen.map(({ data, event }) => [event, data])
        assert.deepStrictEqual(events(decode(bodies.cut(body, cuts))), events(reference.sseEvents(body)))
      }),
      { numRuns: 1_000 }
    )
  })

  it.each([
    ["a plain event", "data: a\n\n", [["message", "a"]]],
    ["no space", "data:a\n\n", [["message", "a"]]],
    ["two spaces, of which one is text", "data:  a\n\n", [["message", " a"]]],
    [
      "CRLF",
      "data: a\r\n\r\ndata: b\r\n\r\n",
      [
        ["message", "a"],
        ["message", "b"]
      ]
    ],
    [
      "CR",
      "data: a\r\rdata: b\r\r",
      [
        ["message", "a"],
        ["message", "b"]
      ]
    ],
    ["several lines", "data: a\ndata\ndata: b\n\n", [["message", "a\n\nb"]]],
    [
      "a name, which ends with its event",
      "event: error\ndata: a\n\ndata: b\n\n",
      [
        ["error", "a"],
        ["message", "b"]
      ]
    ],
    ["comments, ids, retries and unknown fields", ": ping\nid: 1\nretry: 9\nfoo: bar\ndata: a\n\n", [["message", "a"]]],
    ["a name without data", "event: ping\n\ndata: a\n\n", [["message", "a"]]],
    [
      "empty data",
      "data:\n\ndata: \n\n",
      [
        ["message", ""],
        ["message", ""]
      ]
    ],
    ["a byte order mark", "\uFEFFdata: a\n\n", [["message", "a"]]],
    [
      "a byte order mark in the middle, which is text",
      "data: a\n\n\uFEFFdata: b\n\ndata: c\n\n",
      [
        ["message", "a"],
        ["message", "c"]
      ]
    ],
    [
      "an event that nothing closes",
      "data: a\n\ndata: b",
      [
        ["message", "a"],
        ["message", "b"]
      ]
    ],
    ["nothing", "", []]
  ])("reads %s", (_name, text, expected) => {
    assert.deepStrictEqual(decodeText(text), expected)
  })

  it("keeps the time of each event apart when one read ends one and begins the next", () => {
    const { decoder, seen } = collector()
    decoder.push(Buffer.from("data: a\n\ndata: b\n"), 1)
    decoder.push(Buffer.from("\ndata: c\n\n"), 2)
    assert.deepStrictEqual(
      seen.map(({ data, at }) => [data, at]),
      [
        ["a", 1],
        ["b", 2],
        ["c", 2]
      ]
    )
  })

  it("ignores everything after the end marker", () => {
    const { decoder, seen } = collector()
    assert.isFalse(decoder.done)
    assert.isUndefined(decoder.push(Buffer.from("data: a\n\ndata: done\n\ndata: bad\n\n"), 1))
    assert.isTrue(decoder.done)
    assert.isUndefined(decoder.push(Buffer.from("data: bad\n\nrubbish\r\r\xff"), 2))
    assert.isUndefined(decoder.end(3))
    assert.deepStrictEqual(seen, [{ data: "a", event: "message", at: 1 }])
  })

  it("stops at the first event that says the request failed", () => {
    const { decoder, seen } = collector()
    assert.strictEqual(decoder.push(Buffer.from("data: bad\n\ndata: a\n\n"), 1)?._tag, "InStream")
    assert.strictEqual(decoder.push(Buffer.from("data: b\n\n"), 2)?._tag, "InStream")
    assert.deepStrictEqual(
      seen.map(({ data }) => data),
      ["bad"]
    )
  })

  it("calls a stream cut off that ends before the API's own end", () => {
    const { decoder } = collector(false)
    assert.isUndefined(decoder.push(Buffer.from("data: a\n\n"), 1))
    assert.strictEqual(decoder.end(2)?._tag, "Truncated")
  })

  it("keeps the server's own reason when the last event is not closed", () => {
    const { decoder } = collector(false)
    assert.isUndefined(decoder.push(Buffer.from("data: bad"), 1))
    assert.strictEqual(decoder.end(2)?._tag, "InStream")
  })

  it("takes large events and refuses one beyond any reason, without keeping it", () => {
    const { decoder, seen } = collector()
    const large = "x".repeat(1_000_000)
    for (const piece of bodies.cut(Buffer.from(`data: ${large}\n\n`), [1, 100_000, 500_000])) decoder.push(piece, 1)
    assert.strictEqual(seen[0]?.data, large)
    let reason: LlmError.Reason | undefined
    for (let i = 0; i < 12 && reason === undefined; i++) reason = decoder.push(Buffer.from(`data: ${large}`), 2)
    assert.strictEqual(reason?._tag, "TooLarge")
    assert.include(reason?.message, "an event of more than 10 MiB")
  })
})
