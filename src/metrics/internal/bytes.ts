/** Numbers and bytes one after another, all little-endian. */

/** A growing row of bytes. */
export class ByteWriter {
  #bytes = new Uint8Array(4_096)
  #view = new DataView(this.#bytes.buffer)
  #length = 0

  byte(value: number): void {
    const offset = this.#take(1)
    this.#view.setUint8(offset, value)
  }

  /** A whole number from 0 to 2³² − 1. */
  uint32(value: number): void {
    const offset = this.#take(4)
    this.#view.setUint32(offset, value, true)
  }

  double(value: number): void {
    const offset = this.#take(8)
    this.#view.setFloat64(offset, value, true)
  }

  /** How many there are, then the numbers. */
  doubles(values: Float64Array): void {
    this.uint32(values.length)
    let offset = this.#take(values.length * 8)
    for (let i = 0; i < values.length; i++, offset += 8) this.#view.setFloat64(offset, values[i]!, true)
  }

  /** How many there are, then the numbers, each from 0 to 2³² − 1. */
  uint32s(values: Uint32Array): void {
    this.uint32(values.length)
    let offset = this.#take(values.length * 4)
    for (let i = 0; i < values.length; i++, offset += 4) this.#view.setUint32(offset, values[i]!, true)
  }

  /** How many there are, then the bytes. */
  bytes(values: Uint8Array): void {
    this.uint32(values.length)
    const offset = this.#take(values.length)
    this.#bytes.set(values, offset)
  }

  /** A copy of what was written, in a buffer of its own. */
  written(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.#length)
  }

  /** Where the next bytes go. It may replace the buffer, so it comes before any use of that. */
  #take(length: number): number {
    const offset = this.#length
    this.#length += length
    if (this.#length > this.#bytes.length) {
      const bytes = new Uint8Array(Math.max(this.#length, this.#bytes.length * 2))
      bytes.set(this.#bytes)
      this.#bytes = bytes
      this.#view = new DataView(bytes.buffer)
    }
    return offset
  }
}

/**
 * Reads what a `ByteWriter` wrote. After the first problem everything it gives is 0 or empty, so that a reader of bytes need ask
 * only once, at the end, whether all was well.
 */
export class ByteReader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #offset = 0
  #problem: string | null = null

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  byte(): number {
    const offset = this.#take(1)
    return offset === null ? 0 : this.#view.getUint8(offset)
  }

  uint32(): number {
    const offset = this.#take(4)
    return offset === null ? 0 : this.#view.getUint32(offset, true)
  }

  /** A number; one that is not finite is a problem. */
  double(): number {
    const offset = this.#take(8)
    const value = offset === null ? 0 : this.#view.getFloat64(offset, true)
    if (Number.isFinite(value)) return value
    this.fail("a number is not finite")
    return 0
  }

  doubles(): Float64Array {
    const length = this.uint32()
    let offset = this.#take(length * 8)
    if (offset === null) return new Float64Array(0)
    const values = new Float64Array(length)
    for (let i = 0; i < length; i++, offset += 8) values[i] = this.#view.getFloat64(offset, true)
    if (values.every(Number.isFinite)) return values
    this.fail("a number is not finite")
    return new Float64Array(0)
  }

  uint32s(): Uint32Array {
    const length = this.uint32()
    let offset = this.#take(length * 4)
    if (offset === null) return new Uint32Array(0)
    const values = new Uint32Array(length)
    for (let i = 0; i < length; i++, offset += 4) values[i] = this.#view.getUint32(offset, true)
    return values
  }

  /** A view, not a copy. */
  bytes(): Uint8Array {
    const length = this.uint32()
    const offset = this.#take(length)
    return offset === null ? new Uint8Array(0) : this.#bytes.subarray(offset, offset + length)
  }

  /** What the bytes say is wrong. The first problem is kept. */
  fail(problem: string): void {
    this.#problem ??= problem
  }

  /** What was wrong, bytes left over included; `null` when nothing was. */
  end(): string | null {
    if (this.#offset < this.#bytes.length) this.fail(`${this.#bytes.length - this.#offset} bytes too many`)
    return this.#problem
  }

  #take(length: number): number | null {
    if (this.#problem !== null) return null
    const offset = this.#offset
    if (offset + length > this.#bytes.length) {
      this.fail("too short")
      return null
    }
    this.#offset += length
    return offset
  }
}
