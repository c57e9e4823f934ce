/** A column of numbers that grows. */
class Column<A extends Float64Array<ArrayBuffer> | Uint32Array<ArrayBuffer>> {
  #values: A
  readonly #make: (length: number) => A
  #length = 0

  constructor(make: (length: number) => A) {
    this.#make = make
    this.#values = make(1_024)
  }

  get length(): number {
    return this.#length
  }

  push(value: number): void {
    if (this.#length === this.#values.length) {
      const larger = this.#make(2 * this.#length)
      larger.set(this.#values)
      this.#values = larger
    }
    this.#values[this.#length++] = value
  }

  bytes(): Buffer {
    const { buffer, BYTES_PER_ELEMENT } = this.#values
    return Buffer.from(buffer, 0, this.#length * BYTES_PER_ELEMENT)
  }
}

const doubles = () => new Column((length) => new Float64Array(length))
const integers = () => new Column((length) => new Uint32Array(length))

/** What the head of a log says of the process besides. */
export interface Load {
  readonly cpuSeconds: number
  readonly busyShare: number
}

/**
 * What a null server has seen and done. Times are nanoseconds of the monotonic clock.
 *
 * It is sent as a head in JSON, blanks to a multiple of eight bytes, and then the columns, each number in the byte order of
 * the machine: for every request `arrived`, `waited`; for every write `before`, `after`; then `request` (its index) and
 * `tokens` of every write.
 */
export class NullLog {
  readonly #ids: Array<string> = []
  readonly #arrived = doubles()
  readonly #waited = doubles()
  readonly #before = doubles()
  readonly #after = doubles()
  readonly #request = integers()
  readonly #tokens = integers()

  /** A request is there in full; it may have been for `waitedNanos`. Returns its index. */
  request(id: string, arrivedAt: number, waitedNanos: number): number {
    this.#arrived.push(arrivedAt)
    this.#waited.push(waitedNanos)
    return this.#ids.push(id) - 1
  }

  /** So many tokens of a request were handed to the kernel between the two moments. */
  write(request: number, tokens: number, before: number, after: number): void {
    this.#request.push(request)
    this.#tokens.push(tokens)
    this.#before.push(before)
    this.#after.push(after)
  }

  encode(load: Load): Buffer {
    const head = Buffer.from(JSON.stringify({ ids: this.#ids, writes: this.#before.length, ...load }))
    const padding = (8 - ((head.length + 8) % 8)) % 8
    const length = Buffer.alloc(8)
    length.writeUInt32LE(head.length + padding)
    return Buffer.concat([
      length,
      head,
      Buffer.alloc(padding, " "),
      ...[this.#arrived, this.#waited, this.#before, this.#after, this.#request, this.#tokens].map((each) =>
        each.bytes()
      )
    ])
  }
}
