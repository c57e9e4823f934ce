/** Something that happens at a moment (nanoseconds on the monotonic clock); equal moments in the order they were added. */
export interface Due {
  dueNanos: number
  order: number
}

/** A binary heap of what is due, the earliest first. */
export interface DueHeap<A extends Due> {
  readonly push: (item: A) => void
  readonly peek: () => A | undefined
  readonly pop: () => A | undefined
  /** Takes out whatever is not to be kept. */
  readonly retain: (keep: (item: A) => boolean) => void
  readonly size: () => number
}

const before = (a: Due, b: Due): boolean => a.dueNanos < b.dueNanos || (a.dueNanos === b.dueNanos && a.order < b.order)

export const make = <A extends Due>(): DueHeap<A> => {
  let items: Array<A> = []
  let order = 0

  const push = (item: A): void => {
    item.order = order++
    let at = items.length
    items.push(item)
    while (at > 0) {
      const parentAt = (at - 1) >> 1
      const parent = items[parentAt]
      if (parent === undefined || before(parent, item)) break
      items[at] = parent
      at = parentAt
    }
    items[at] = item
  }

  const pop = (): A | undefined => {
    const first = items[0]
    const last = items.pop()
    if (last === undefined || items.length === 0) return first
    let at = 0
    while (true) {
      const left = items[2 * at + 1]
      if (left === undefined) break
      const right = items[2 * at + 2]
      const useRight = right !== undefined && before(right, left)
      const child = useRight ? right : left
      if (before(last, child)) break
      items[at] = child
      at = 2 * at + (useRight ? 2 : 1)
    }
    items[at] = last
    return first
  }

  const retain = (keep: (item: A) => boolean): void => {
    // Whatever is sorted is a heap.
    items = items.filter(keep).toSorted((a, b) => (before(a, b) ? -1 : 1))
  }

  return { push, peek: () => items[0], pop, retain, size: () => items.length }
}
