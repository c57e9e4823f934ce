import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fc from "fast-check"
import * as Zlib from "node:zlib"
import { Inflate } from "../../../src/provider/internal/Inflate.ts"
import * as bodies from "../wire/bodies.ts"

interface Inflated {
  readonly text: string
  /** Each piece that came out, with its time. */
  readonly pieces: ReadonlyArray<readonly [text: string, at: number]>
  readonly error: Error | undefined
}

/** Inflates pieces, of which the n-th arrives at time n. */
const inflate = (encoding: string, pieces: ReadonlyArray<Uint8Array>): Effect.Effect<Inflated> =>
  Effect.callback((resume) => {
    const bytes: Array<Buffer> = []
    const out: Array<readonly [string, number]> = []
    const finish = (error: Error | undefined): void =>
      resume(Effect.succeed({ text: Buffer.concat(bytes).toString("utf8"), pieces: out, error }))
    const inflater = Inflate.make(encoding, {
      onBytes: (piece, at) => {
        bytes.push(Buffer.from(piece))
        out.push([piece.toString("utf8"), at])
      },
      onError: finish,
      onEnd: () => finish(undefined)
    })
    assert.isDefined(inflater)
    for (const [index, piece] of pieces.entries()) inflater.write(piece, index + 1)
    inflater.end()
  })

const text = "data: é漢😀 and more of the same, and more of the same\n\n".repeat(20)

const compress: ReadonlyArray<readonly [string, (bytes: Buffer) => Buffer]> = [
  ["gzip", Zlib.gzipSync],
  ["x-gzip", Zlib.gzipSync],
  ["deflate", Zlib.deflateSync],
  ["br", Zlib.brotliCompressSync],
  ["zstd", Zlib.zstdCompressSync]
]

/** Compresses texts one after the other, each flushed, as a server does that streams. */
const compressEach = (
  compressor: Zlib.Gzip | Zlib.BrotliCompress | Zlib.ZstdCompress,
  texts: ReadonlyArray<string>
): Effect.Effect<ReadonlyArray<Buffer>> =>
  Effect.gen(function* () {
    let compressed: Array<Buffer> = []
    compressor.on("data", (data: Buffer) => compressed.push(data))
    const pieces: Array<Buffer> = []
    for (const text of texts) {
      yield* Effect.callback<void>((resume) => {
        compressor.write(text)
        compressor.flush(() => resume(Effect.void))
      })
      pieces.push(Buffer.concat(compressed))
      compressed = []
    }
    return pieces
  })

describe("Inflate", () => {
  it("knows no other encodings", () => {
    const handlers = { onBytes: () => {}, onError: () => {}, onEnd: () => {} }
    for (const encoding of ["compress", "gzip, br", "GZIP", ""]) assert.isUndefined(Inflate.make(encoding, handlers))
  })

  it.effect.each(compress)("inflates %s, wherever it is cut", ([encoding, compress]) =>
    Effect.gen(function* () {
      const body = compress(Buffer.from(text))
      const ways: ReadonlyArray<bodies.Cuts> = ["none", "all", ...fc.sample(bodies.cuts, { seed: 5, numRuns: 20 })]
      for (const cuts of ways) {
        const { error, text: inflated } = yield* inflate(encoding, bodies.cut(body, cuts))
        assert.isUndefined(error)
        assert.strictEqual(inflated, text)
      }
    })
  )

  it.effect.each([
    ["gzip", () => Zlib.createGzip()],
    ["deflate", () => Zlib.createDeflate()],
    ["br", () => Zlib.createBrotliCompress()],
    ["zstd", () => Zlib.createZstdCompress()]
  ] as const)("gives out each flushed piece of %s at once, with the time at which it arrived", ([encoding, make]) =>
    Effect.gen(function* () {
      const texts = Array.from({ length: 12 }, (_, i) => `data: token ${i}${" padding".repeat(i)}\n\n`)
      const pieces = yield* compressEach(make(), texts)
      const inflated = yield* inflate(encoding, pieces)
      assert.deepStrictEqual(
        inflated.pieces,
        texts.map((text, index) => [text, index + 1])
      )
    })
  )

  it.effect.each([
    ["gzip", () => Zlib.createGzip()],
    ["deflate", () => Zlib.createDeflate()],
    ["br", () => Zlib.createBrotliCompress()],
    ["zstd", () => Zlib.createZstdCompress()]
  ] as const)(
    "gives out all there is of %s that was cut off, and leaves it to the decoder what is missing",
    ([encoding, make]) =>
      Effect.gen(function* () {
        const pieces = yield* compressEach(make(), ["one", "two"])
        const inflated = yield* inflate(encoding, pieces)
        assert.strictEqual(inflated.text, "onetwo")
        assert.isUndefined(inflated.error)
      })
  )

  it.effect.each(compress)("reports what is no %s", ([encoding]) =>
    Effect.gen(function* () {
      const { error } = yield* inflate(encoding, [Buffer.from("no compression at all")])
      assert.isDefined(error)
      const body = Zlib.gzipSync(text)
      body.fill(0xff, 20, 40)
      assert.isDefined((yield* inflate(encoding, [body])).error)
    })
  )
})
