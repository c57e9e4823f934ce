/**
 * Numbers in the order in which they came, and where each stands among them. `ranks` has −1 for what is not a number.
 */
export interface Ranked {
  readonly sorted: Float64Array
  readonly ranks: Int32Array
}

const sortedPlaces = (values: Float64Array): Int32Array => {
  const known: Array<number> = []
  for (let place = 0; place < values.length; place++) if (!Number.isNaN(values[place] ?? NaN)) known.push(place)
  return Int32Array.from(known).toSorted((a, b) => (values[a] ?? 0) - (values[b] ?? 0))
}

export const rank = (values: Float64Array): Ranked => {
  const places = sortedPlaces(values)
  const ranks = new Int32Array(values.length).fill(-1)
  const sorted = new Float64Array(places.length)
  for (let rank = 0; rank < places.length; rank++) {
    const place = places[rank] ?? 0
    ranks[place] = rank
    sorted[rank] = values[place] ?? 0
  }
  return { sorted, ranks }
}

/** The ranks of what is known, in the order in which it came; equal numbers share the mean of their ranks. */
export const midranks = ({ ranks, sorted }: Ranked): Float64Array => {
  const shared = new Float64Array(sorted.length)
  for (let from = 0; from < sorted.length;) {
    let to = from + 1
    while (to < sorted.length && sorted[to] === sorted[from]) to++
    shared.fill((from + to - 1) / 2, from, to)
    from = to
  }
  const found = new Float64Array(sorted.length)
  let next = 0
  for (const rank of ranks) if (rank >= 0) found[next++] = shared[rank] ?? 0
  return found
}

/**
 * How much more often a number of `b` is above one of `a` than below it, of all pairs: from −1 to 1. Both sorted.
 */
export const dominance = (a: Float64Array, b: Float64Array): number | null => {
  if (a.length === 0 || b.length === 0) return null
  let below = 0
  let notAbove = 0
  let balance = 0
  for (const value of b) {
    while (below < a.length && (a[below] ?? 0) < value) below++
    while (notAbove < a.length && (a[notAbove] ?? 0) <= value) notAbove++
    balance += below - (a.length - notAbove)
  }
  return balance / (a.length * b.length)
}
