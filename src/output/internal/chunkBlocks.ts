/** Chunk times as record batches of Apache Arrow; `docs/chunk-times.md` describes the file. */
import {
  Batch,
  Column,
  CompressionType,
  type DataType,
  Endianness,
  type Field,
  field,
  int64,
  list,
  setCompressionCodec,
  Table,
  tableFromIPC,
  tableToIPC,
  Version
} from "@uwdata/flechette"
import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib"

/** The times of one request: nanoseconds after the start of the run. */
export interface RequestTimes {
  readonly requestId: number
  readonly sentNanos: number | null
  readonly chunkNanos: Float64Array
}

/**
 * A block is packed when it has so many values. The thread does nothing else meanwhile: so it is no more than a fraction of a
 * millisecond. With fewer values what goes before each block would count.
 */
export const BLOCK_SIZE = 4_096

const REHEARSALS = 24

const VERSION_KEY = "llmperf.chunk_times"
const VERSION = "1"
const RUN_ID_KEY = "llmperf.run_id"

/** A call of the compressor costs more than such a buffer takes. */
const SMALL_BYTES = 128
/** Of a column of a block, unpacked: eight million chunks. */
const MOST_BYTES = 64 * 1024 * 1024
/** The quickest level, with a table that is soon cleared; found by trying. */
const params = { [constants.ZSTD_c_compressionLevel]: 1, [constants.ZSTD_c_hashLog]: 10 }

setCompressionCodec(CompressionType.ZSTD, {
  // What gets no smaller is written as it is
  encode: (bytes) => (bytes.length < SMALL_BYTES ? bytes : zstdCompressSync(bytes, { params })),
  decode: (bytes, length) => {
    if (!(length >= 0 && length <= MOST_BYTES)) throw new RangeError(`${length} bytes`)
    const whole = zstdDecompressSync(bytes, { maxOutputLength: Math.max(1, length) })
    if (whole.length !== length) throw new RangeError(`${whole.length} bytes instead of ${length}`)
    return whole
  }
})

const number = int64()
const gaps = list(field("item", number, false))
const fields: Array<Field> = [
  field("request_id", number, false),
  field("sent_ns", number, true),
  field("first_chunk_ns", number, true),
  field("gap_ns", gaps, false)
]

/** What closes a stream. */
export const END = Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0)

const streamOf = (columns: ReadonlyArray<Batch<unknown>>, about: ReadonlyMap<string, string>): Uint8Array => {
  const schema = { version: Version.V5, endianness: Endianness.Little, fields, metadata: new Map(about) }
  const table = new Table(
    schema,
    fields.map(({ type }, index) => new Column(columns.slice(index, index + 1), type))
  )
  return tableToIPC(table, { format: "stream", codec: CompressionType.ZSTD }) ?? new Uint8Array()
}

/** What a file begins with: its columns, and whose it is. */
export const head = (runId: string): Uint8Array =>
  streamOf(
    [],
    new Map([
      [VERSION_KEY, VERSION],
      [RUN_ID_KEY, runId]
    ])
  ).slice(0, -END.length)

const bareHead = streamOf([], new Map()).slice(0, -END.length)

const WORD = 2 ** 32

/** Whole numbers of 64 bits, in two words each: no `bigint` is made of them. */
class Integers {
  private words = new Uint32Array(1_024)
  length = 0

  push(value: number): void {
    const at = 2 * this.length++
    if (at === this.words.length) {
      const wider = new Uint32Array(2 * at)
      wider.set(this.words)
      this.words = wider
    }
    this.words[at] = value
    this.words[at + 1] = Math.floor(value / WORD)
  }

  /** `missing`: the rows without a value. It sees what is here, and is good until the next push. */
  batch(missing: ReadonlyArray<number> = []): Batch<unknown> {
    return new Batch({
      length: this.length,
      nullCount: missing.length,
      type: number,
      validity: missing.length === 0 ? new Uint8Array() : validity(this.length, missing),
      values: new BigInt64Array(this.words.buffer, 0, this.length)
    })
  }
}

/** A bit for each row, beginning with the lowest: 0 where the value is missing. */
const validity = (rows: number, missing: ReadonlyArray<number>): Uint8Array => {
  const bytes = new Uint8Array(Math.ceil(rows / 8)).fill(0xff)
  for (const row of missing) {
    const at = row >> 3
    bytes[at] = (bytes[at] ?? 0) & ~(1 << (row & 7))
  }
  return bytes
}

/** Gathers requests until they are packed together. */
export class Block {
  private readonly ids = new Integers()
  private readonly sent = new Integers()
  private readonly first = new Integers()
  private readonly gaps = new Integers()
  private readonly unsent: Array<number> = []
  private readonly empty: Array<number> = []
  private readonly ends: Array<number> = [0]

  get requests(): number {
    return this.ids.length
  }

  get size(): number {
    return this.ids.length + this.gaps.length
  }

  /** Moments are nanoseconds on the clock of `startAt`; what is kept of them is rounded to whole ones. */
  add(requestId: number, startAt: number, sentAt: number | null, chunkAt: ReadonlyArray<number>): void {
    if (sentAt === null) this.unsent.push(this.requests)
    if (chunkAt.length === 0) this.empty.push(this.requests)
    const after = (at: number | null | undefined): number => Math.round((at ?? startAt) - startAt)
    this.ids.push(requestId)
    this.sent.push(after(sentAt))
    let before = after(chunkAt[0])
    this.first.push(before)
    for (let index = 1; index < chunkAt.length; index++) {
      const at = after(chunkAt[index])
      this.gaps.push(at - before)
      before = at
    }
    this.ends.push(this.gaps.length)
  }

  /** What has been gathered, as it stands in a file. */
  pack(): Uint8Array {
    const listed = new Batch({
      length: this.requests,
      nullCount: 0,
      type: gaps,
      validity: new Uint8Array(),
      offsets: Int32Array.from(this.ends),
      children: [this.gaps.batch()]
    })
    const columns = [this.ids.batch(), this.sent.batch(this.unsent), this.first.batch(this.empty), listed]
    return streamOf(columns, new Map()).slice(bareHead.length, -END.length)
  }
}

let isRehearsed = false

/** Packs some blocks for nothing: the first cost many times what later ones do, and belong before the start of a run. */
export const rehearse = (): void => {
  if (isRehearsed) return
  isRehearsed = true
  const chunkAt = Array.from({ length: 100 }, (_, index) => 20e6 * index + ((7_919 * index) % 1e6))
  for (let round = 0; round < REHEARSALS; round++) {
    const block = new Block()
    while (block.size < BLOCK_SIZE / 2) block.add(block.requests, 0, block.requests % 9 === 0 ? null : 0, chunkAt)
    block.pack()
  }
}

/** What the head of a file says; `undefined` when the file is none of these. */
export const readHead = (bytes: Uint8Array): { readonly runId: string | null } | undefined => {
  const { fields: found, metadata } = tableFromIPC(bytes).schema
  const isOurs =
    found.length >= fields.length &&
    fields.every(({ name, type }, index) => found[index]?.name === name && shapeOf(found[index].type) === shapeOf(type))
  return isOurs && (metadata?.get(VERSION_KEY) ?? VERSION) === VERSION
    ? { runId: metadata?.get(RUN_ID_KEY) ?? null }
    : undefined
}

const shapeOf = (type: DataType): string => {
  const width = "bitWidth" in type ? type.bitWidth : ""
  const item = "children" in type ? type.children[0] : undefined
  return `${type.typeId} ${width} ${item === undefined ? "" : shapeOf(item.type)}`
}

/** The requests of a block, in their order. Throws when it is damaged. */
export const unpack = (head: Uint8Array, block: Uint8Array): ReadonlyArray<RequestTimes> => {
  const table = tableFromIPC([head, block])
  const [ids, sent, first, gapLists] = table.children.map(({ data }) => data[0])
  if (ids === undefined || sent === undefined || first === undefined || gapLists === undefined) return []
  const idOf = valuesOf(ids)
  const sentOf = valuesOf(sent)
  const firstOf = valuesOf(first)
  const [gapBatch] = gapLists.children
  const gapOf = gapBatch === undefined ? () => null : valuesOf(gapBatch)
  const ends = gapLists.offsets
  return Array.from({ length: ids.length }, (_, row) => {
    const from = Number(ends[row] ?? 0)
    const to = Number(ends[row + 1] ?? from)
    let at = firstOf(row)
    const chunkNanos = new Float64Array(at === null ? 0 : 1 + to - from)
    if (at !== null) {
      chunkNanos[0] = at
      for (let index = from; index < to; index++) chunkNanos[1 + index - from] = at += gapOf(index) ?? 0
    }
    return { requestId: idOf(row) ?? 0, sentNanos: sentOf(row), chunkNanos }
  })
}

/**
 * The ids of the requests of a block that comes from elsewhere, of which there are `most` at most. Throws when it is damaged; what
 * it says of itself costs nothing before it is checked.
 */
export const requestIds = (block: Uint8Array, most: number): ReadonlyArray<number> => {
  const table = tableFromIPC([bareHead, block])
  const [ids, sent, first, gapLists] = table.children.map(({ data }) => data[0])
  const [gapBatch] = gapLists?.children ?? []
  if (ids === undefined || sent === undefined || first === undefined || gapLists === undefined) throw new RangeError()
  const { length } = ids
  if (!(length >= 1 && length <= most)) throw new RangeError(`${length} requests`)
  const [idOf] = [ids, sent, first].map(valuesOf)
  const ends = gapLists.offsets
  let end = 0
  for (let row = 0; row <= length; row++) {
    const next = Number(ends[row])
    if (!(next >= end)) throw new RangeError("a request ends before it begins")
    end = next
  }
  if (end > 0 && (gapBatch === undefined || gapBatch.length < end)) throw new RangeError("gaps are missing")
  if (gapBatch !== undefined) valuesOf(gapBatch)
  return Array.from({ length }, (_, row) => idOf?.(row) ?? 0)
}

const valuesOf = (batch: Batch<unknown>): ((row: number) => number | null) => {
  const { nullCount, validity, values } = batch
  const words = new Int32Array(values.buffer, values.byteOffset, 2 * batch.length)
  return (row) => {
    if (nullCount > 0 && ((validity[row >> 3] ?? 0) & (1 << (row & 7))) === 0) return null
    return (words[2 * row + 1] ?? 0) * WORD + ((words[2 * row] ?? 0) >>> 0)
  }
}
