/** Numbers in a growing typed array: eight bytes each, nothing for the garbage collector to follow. */
export class Values {
  #values = new Float64Array(64)
  #length = 0

  get length(): number {
    return this.#length
  }

  push(value: number): void {
    if (this.#length === this.#values.length) this.#grow(this.#length * 2)
    this.#values[this.#length++] = value
  }

  append(values: Float64Array): void {
    const length = this.#length + values.length
    if (length > this.#values.length) this.#grow(Math.max(length, this.#length * 2))
    this.#values.set(values, this.#length)
    this.#length = length
  }

  /** In the order they were pushed, without copying: valid until the next push. */
  all(): Float64Array {
    return this.#values.subarray(0, this.#length)
  }

  /** A sorted copy. */
  sorted(): Float64Array {
    return this.all().toSorted()
  }

  #grow(capacity: number): void {
    const values = new Float64Array(capacity)
    values.set(this.all())
    this.#values = values
  }
}
