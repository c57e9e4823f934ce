import { assert } from "@effect/vitest"
import * as fc from "fast-check"
import { readFileSync } from "node:fs"
import { type Reason } from "../../../src/domain/LlmError.ts"
import { type TokenEvent } from "../../../src/domain/TokenEvent.ts"
import { EventBuffer } from "../../../src/provider/wire/EventBuffer.ts"
import { type MakeDecoder } from "../../../src/provider/wire/StreamDecoder.ts"
import * as bodies from "./bodies.ts"
import * as reference from "./reference.ts"

/** What decoders of any format are tested with. */

/** An answer as the vendor documents it. */
export const transcript = (name: string): Buffer =>
  readFileSync(new URL(`../../fixtures/provider/${name}`, import.meta.url))

export interface Decoded {
  readonly events: ReadonlyArray<TokenEvent>
  readonly reason: Reason | undefined
  readonly done: boolean
}

/**
 * Decodes pieces, of which the n-th arrives at time n. They come one after the other into the same memory, as from a socket;
 * a decoder that keeps references is given copies.
 */
export const decode = (makeDecoder: MakeDecoder, pieces: ReadonlyArray<Buffer>): Decoded => {
  const out = new EventBuffer()
  const decoder = makeDecoder(out)
  const memory = Buffer.alloc(pieces.reduce((most, { length }) => Math.max(most, length), 0) + 40)
  const push = (piece: Buffer, at: number): Reason | undefined => {
    if (decoder.pushPart === undefined) return decoder.push(Buffer.from(piece), at)
    memory.fill('"}\n\ndata: ')
    piece.copy(memory, 20)
    return decoder.pushPart(memory, 20, 20 + piece.length, at)
  }
  let reason: Reason | undefined
  let at = 0
  for (const piece of pieces) {
    reason = push(piece, ++at)
    if (reason !== undefined) break
  }
  reason ??= decoder.end(at)
  return { events: out.take() ?? [], reason, done: decoder.done }
}

export const outcome = (makeDecoder: MakeDecoder, pieces: ReadonlyArray<Buffer>): reference.Outcome => {
  const { events, reason } = decode(makeDecoder, pieces)
  return { parts: reference.flatten(events), failure: reason?._tag }
}

/** The parts of an answer in short: `text a`, `usage 1 2 null null`, a finish reason, and how it failed. */
export const inShort = (makeDecoder: MakeDecoder, ...pieces: ReadonlyArray<Buffer | string>): ReadonlyArray<string> => {
  const { failure, parts } = outcome(
    makeDecoder,
    pieces.map((piece) => Buffer.from(piece))
  )
  const all = parts.map((part) =>
    "kind" in part ? `${part.kind} ${part.text}` : "finished" in part ? part.finished : `usage ${part.usage.join(" ")}`
  )
  return failure === undefined ? all : [...all, failure]
}

/** What is told of a failure. */
export const failureOf = (makeDecoder: MakeDecoder, body: string | Buffer): Reason | undefined =>
  decode(makeDecoder, [Buffer.from(body)]).reason

/** Text as it may stand anywhere in an answer. */
export const token: fc.Arbitrary<string> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.constantFrom("a", " the", "", "text", "error", "null", '"', "\\", "}\n\n", "\u2028", "😀")
  },
  { weight: 1, arbitrary: bodies.lineText }
)

export const nullable = <A>(value: fc.Arbitrary<A>): fc.Arbitrary<A | null> =>
  fc.oneof({ weight: 5, arbitrary: value }, fc.constant(null))

export const count: fc.Arbitrary<number | null> = nullable(fc.nat(9))

/** Cuts off the end of one body in three. */
const sometimesCut = (body: fc.Arbitrary<Buffer>): fc.Arbitrary<Buffer> =>
  fc
    .tuple(body, fc.oneof({ weight: 2, arbitrary: fc.constant(undefined) }, fc.nat(1_000_000)))
    .map(([whole, cutAt]) => (cutAt === undefined ? whole : whole.subarray(0, cutAt % (whole.length + 1))))

/** An event; `name` may be empty. */
export interface Event {
  readonly name: string
  readonly data: string
}

/** A stream of events, written in one of the ways the standard allows. */
export const eventStream = (events: fc.Arbitrary<ReadonlyArray<Event>>): fc.Arbitrary<Buffer> =>
  sometimesCut(
    fc
      .tuple(
        events,
        fc.constantFrom("\n", "\n", "\r\n", "\r"),
        fc.constantFrom(" ", ""),
        fc.constantFrom("", "", "\uFEFF")
      )
      .map(([events, newline, space, bom]) =>
        Buffer.from(
          bom +
            events
              .map(({ data, name }) => {
                const lines = data.split("\n").map((line) => `data:${space}${line}`)
                if (name === ":") lines.unshift(": ping", "")
                else if (name !== "") lines.unshift(`event:${space}${name}`)
                return `${lines.join(newline)}${newline}${newline}`
              })
              .join("")
        )
      )
  )

/** Lines of JSON, some of them empty. */
export const lines = (datas: fc.Arbitrary<ReadonlyArray<string>>): fc.Arbitrary<Buffer> =>
  sometimesCut(
    fc
      .tuple(datas, fc.constantFrom("\n", "\n", "\r\n", "\n\n"), fc.constantFrom("", "", "\uFEFF"))
      .map(([datas, newline, bom]) => Buffer.from(bom + datas.map((data) => data + newline).join("")))
  )

export const parsed = (data: string): { readonly value: unknown } | undefined => {
  try {
    return { value: JSON.parse(data) }
  } catch {
    return undefined
  }
}

export const isObject = (value: unknown): value is object => typeof value === "object" && value !== null

/** Counts how often each kind of part and each failure occurs in answers, so that a property is known to be about them. */
const kindsIn = (
  answers: ReadonlyArray<Buffer>,
  read: (body: Buffer) => reference.Outcome
): { readonly [kind: string]: number } => {
  const found: { [kind: string]: number } = {}
  const add = (kind: string): void => void (found[kind] = (found[kind] ?? 0) + 1)
  for (const body of answers) {
    const { failure, parts } = read(body)
    add(failure ?? "fine")
    for (const part of parts) add("kind" in part ? part.kind : "finished" in part ? "finished" : "usage")
  }
  return found
}

/** What an answer of a chat may hold, and the ways it may fail. */
const everyKind = ["fine", "Truncated", "Protocol", "InStream", "text", "reasoning", "tool", "finished", "usage"]

/** That a property over these answers is about every kind of them. */
export const holdsEveryKind = (
  answers: fc.Arbitrary<Buffer>,
  numRuns: number,
  read: (body: Buffer) => reference.Outcome,
  kinds: ReadonlyArray<string> = everyKind
): void => {
  const found = kindsIn(fc.sample(answers, { seed: 7, numRuns }), read)
  for (const kind of kinds) assert.isAbove(found[kind] ?? 0, 10, kind)
}

/** That a transcript comes to the same byte by byte and in two pieces. */
export const isSameWhereverCut = (makeDecoder: MakeDecoder, name: string): void => {
  const body = transcript(name)
  const whole = outcome(makeDecoder, [body])
  assert.deepStrictEqual(outcome(makeDecoder, bodies.cut(body, "all")), whole)
  for (let at = 1; at < body.length; at += 5) {
    assert.deepStrictEqual(outcome(makeDecoder, bodies.cut(body, [at])), whole)
  }
}
