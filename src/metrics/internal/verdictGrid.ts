/** A stretch of a run, in seconds after its start. */
export interface Span {
  readonly from_s: number
  readonly to_s: number
}

/** The slices of a run of any length take no more room than so many. */
export const MAX_SLICES = 120

/**
 * Values by time, in slices of equal width. When there would be more than `MAX_SLICES`, two neighbours become one, and the
 * width doubles.
 */
export class Grid<A> {
  readonly #join: (earlier: A, later: A) => A
  #cells = new Map<number, A>()
  #width: number

  constructor(width: number, join: (earlier: A, later: A) => A) {
    this.#width = width
    this.#join = join
  }

  get width(): number {
    return this.#width
  }

  add(second: number, value: A): void {
    while (this.#indexOf(second) >= MAX_SLICES) this.#double()
    this.#put(this.#indexOf(second), value)
  }

  /** In order of time. */
  entries(): Array<readonly [index: number, value: A]> {
    return [...this.#cells].toSorted(([a], [b]) => a - b)
  }

  /** The value of the latest time. */
  last(): A | null {
    let latest = -1
    for (const index of this.#cells.keys()) latest = Math.max(latest, index)
    return this.#cells.get(latest) ?? null
  }

  #indexOf(second: number): number {
    return Math.max(0, Math.floor(second / this.#width))
  }

  #put(index: number, value: A): void {
    const there = this.#cells.get(index)
    this.#cells.set(index, there === undefined ? value : this.#join(there, value))
  }

  #double(): void {
    const narrow = this.entries()
    this.#width *= 2
    this.#cells = new Map()
    for (const [index, value] of narrow) this.#put(Math.floor(index / 2), value)
  }
}

/** A slice with other bounds. */
export const at = <A extends Span>(slice: A, from_s: number, to_s: number): A => ({ ...slice, from_s, to_s })

/** Slices by their index on a grid of the same or a greater width. */
export const onGrid = <A extends Span>(
  slices: ReadonlyArray<A>,
  width: number,
  join: (earlier: A, later: A) => A
): ReadonlyMap<number, A> => {
  const cells = new Map<number, A>()
  for (const slice of slices) {
    const index = Math.floor((slice.from_s + slice.to_s) / 2 / width)
    const there = cells.get(index)
    cells.set(index, there === undefined ? slice : join(there, slice))
  }
  return cells
}

/** What two threads saw of the same time, joined slice by slice, in order of time. */
export const together = <A extends Span>(
  left: ReadonlyMap<number, A>,
  right: ReadonlyMap<number, A>,
  join: (left: A, right: A) => A
): Array<readonly [index: number, slice: A]> => {
  const slices = new Map(left)
  for (const [index, slice] of right) {
    const there = slices.get(index)
    slices.set(index, there === undefined ? slice : join(there, slice))
  }
  return [...slices].toSorted(([a], [b]) => a - b)
}
