/**
 * One number per request in a growing typed array: eight bytes each, nothing for the garbage collector to follow.
 */
export class Column {
  #values = new Float64Array(64)
  #length = 0

  get length(): number {
    return this.#length
  }

  push(value: number): void {
    if (this.#length === this.#values.length) this.#grow(this.#length * 2)
    this.#values[this.#length++] = value
  }

  /** Pushes what is known; `null` is not a value. */
  pushKnown(value: number | null): void {
    if (value !== null && Number.isFinite(value)) this.push(value)
  }

  append(that: Column): void {
    const values = that.values()
    const length = this.#length + values.length
    if (length > this.#values.length) this.#grow(Math.max(length, this.#length * 2))
    this.#values.set(values, this.#length)
    this.#length = length
  }

  /** The values in the order they were pushed, without copying: valid until the next push. */
  values(): Float64Array {
    return this.#values.subarray(0, this.#length)
  }

  /** A sorted copy. */
  sorted(): Float64Array {
    return this.values().toSorted()
  }

  sum(): number {
    let sum = 0
    for (const value of this.values()) sum += value
    return sum
  }

  #grow(capacity: number): void {
    const values = new Float64Array(capacity)
    values.set(this.values())
    this.#values = values
  }
}
