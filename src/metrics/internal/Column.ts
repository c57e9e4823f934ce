import * as Result from "effect/Result"
import * as Histogram from "../Histogram.ts"
import type { ByteReader, ByteWriter } from "./bytes.ts"
import * as Distribution from "./distribution.ts"
import { Values } from "./Values.ts"

/**
 * How a kind of number goes into a histogram, which is made for seconds: multiplied by `scale`, a power of two, so that
 * nothing is lost. `whole`: only whole numbers occur.
 */
export interface Unit {
  readonly scale: number
  readonly whole: boolean
}

/** 0.95 µs to 36 h. */
export const seconds: Unit = { scale: 1, whole: false }

// 1/4,096 to 33 million
const TOKENS = 2 ** -8

/** Tokens per second or per chunk. */
export const rate: Unit = { scale: TOKENS, whole: false }

/** Numbers of tokens. Buckets below 1,024 hold one whole number each: such counts stay exact. */
export const tokens: Unit = { scale: TOKENS, whole: true }

const EXACT = 0
const HISTOGRAM = 1

/**
 * One number per request. Up to `limit` values are kept as they are; when one more comes, all go into a histogram, and so do
 * those that follow.
 */
export class Column {
  readonly #unit: Unit
  readonly #limit: number
  #values = new Values()
  #histogram: Histogram.Histogram | null = null

  constructor(unit: Unit, limit: number) {
    this.#unit = unit
    this.#limit = limit
  }

  get isExact(): boolean {
    return this.#histogram === null
  }

  /** Pushes what is known; `null` is not a value. */
  push(value: number | null): void {
    if (value === null || !Number.isFinite(value)) return
    if (this.#histogram === null) {
      if (this.#values.length < this.#limit) return this.#values.push(value)
      this.#histogram = this.#fold()
    }
    Histogram.add(this.#histogram, value * this.#unit.scale)
  }

  append(that: Column): void {
    const others = that.#values.all()
    const isBeyond = this.#values.length + others.length > this.#limit
    if (this.#histogram === null && (isBeyond || that.#histogram !== null)) this.#histogram = this.#fold()
    if (this.#histogram === null) this.#values.append(others)
    else if (that.#histogram !== null) Histogram.merge(this.#histogram, that.#histogram)
    else addAll(this.#histogram, others, this.#unit.scale)
  }

  /** Why these cannot be the values of so many requests, each within these bounds; `null` when they can. */
  misfit(requests: number, least: number, most: number): string | null {
    const { count, max, min } = this.#range()
    if (count > requests) return `${count} values of ${requests} requests`
    if (this.#histogram !== null && count <= this.#limit) return "a histogram of few values"
    return count > 0 && (min < least || max > most) ? `values from ${min} to ${max}` : null
  }

  #range(): { readonly count: number; readonly min: number; readonly max: number } {
    if (this.#histogram !== null) {
      const count = Histogram.count(this.#histogram)
      const { scale } = this.#unit
      return {
        count,
        min: (Histogram.min(this.#histogram) ?? 0) / scale,
        max: (Histogram.max(this.#histogram) ?? 0) / scale
      }
    }
    let min = Number.POSITIVE_INFINITY
    let max = Number.NEGATIVE_INFINITY
    for (const value of this.#values.all()) {
      if (value < min) min = value
      if (value > max) max = value
    }
    return { count: this.#values.length, min, max }
  }

  /** To be described. Sorts the values that are kept. */
  ranked(): Distribution.Ranked {
    return this.#histogram === null
      ? Distribution.ofSorted(this.#values.sorted())
      : Distribution.ofHistogram(this.#histogram, this.#unit)
  }

  /** The kind as a byte, then the numbers or the histogram. */
  write(writer: ByteWriter): void {
    if (this.#histogram === null) {
      writer.byte(EXACT)
      writer.doubles(this.#values.all())
    } else {
      writer.byte(HISTOGRAM)
      writer.bytes(Histogram.encode(this.#histogram))
    }
  }

  /** Reads into an empty column. */
  read(reader: ByteReader): void {
    const kind = reader.byte()
    if (kind === EXACT) return this.#values.append(reader.doubles())
    if (kind !== HISTOGRAM) return reader.fail("a kind of column is not known")
    const histogram = Histogram.decode(reader.bytes())
    if (Result.isFailure(histogram)) reader.fail(histogram.failure.message)
    else this.#histogram = histogram.success
  }

  #fold(): Histogram.Histogram {
    const histogram = Histogram.make()
    addAll(histogram, this.#values.all(), this.#unit.scale)
    this.#values = new Values()
    return histogram
  }
}

const addAll = (histogram: Histogram.Histogram, values: Float64Array, scale: number): void => {
  for (let i = 0; i < values.length; i++) Histogram.add(histogram, values[i]! * scale)
}
