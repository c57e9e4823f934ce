/** The moments at which the places of a closed loop become free, the first of them on top of a binary heap. */
const replaceFirst = (free: Float64Array, moment: number): void => {
  let at = 0
  for (;;) {
    let child = 2 * at + 1
    if (child >= free.length) break
    if (child + 1 < free.length && (free[child + 1] ?? 0) < (free[child] ?? 0)) child++
    const next = free[child] ?? 0
    if (next >= moment) break
    free[at] = next
    at = child
  }
  free[at] = moment
}

/**
 * How long a closed loop takes: each request holds a place for its time, and begins when the first place is free. The last
 * requests, when places stay empty, are part of it.
 */
export const makeLoop = (places: number) => {
  const free = new Float64Array(Math.max(1, Math.round(places)))
  let last = 0
  return {
    restart: (): void => {
      free.fill(0)
      last = 0
    },
    send: (seconds: number): void => {
      const end = (free[0] ?? 0) + seconds
      if (end > last) last = end
      replaceFirst(free, end)
    },
    seconds: (): number => last
  }
}
