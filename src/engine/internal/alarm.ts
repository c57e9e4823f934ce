/** Memory that two threads share: a moment to wake at, and a counter that changes with every new one. */
export type Memory = SharedArrayBuffer

const SET = 0
const CLOSED = 1

const views = (memory: Memory) => ({
  state: new Int32Array(memory, 0, 2),
  nanos: new Float64Array(memory, 8, 1)
})

/** The side that sets the alarm, in nanoseconds of the monotonic clock; `Infinity` for none. */
export const make = () => {
  const memory: Memory = new SharedArrayBuffer(16)
  const { nanos, state } = views(memory)
  const signal = (): void => {
    Atomics.add(state, SET, 1)
    Atomics.notify(state, SET)
  }
  return {
    memory,
    set: (at: number): void => {
      // A torn read is followed by another: the counter changes after the moment
      nanos[0] = at
      signal()
    },
    close: (): void => {
      Atomics.store(state, CLOSED, 1)
      signal()
    }
  }
}

/** The side that sleeps: calls `ring` at each moment that is set, unless another is set before. Returns once it is closed. */
export const serve = (memory: Memory, now: () => number, ring: () => void): void => {
  const { nanos, state } = views(memory)
  let seen = 0
  let due = Infinity
  while (Atomics.load(state, CLOSED) === 0) {
    const current = Atomics.load(state, SET)
    if (current !== seen) {
      seen = current
      due = nanos[0] ?? Infinity
    }
    const millis = (due - now()) / 1e6
    if (millis <= 0) {
      due = Infinity
      ring()
    } else Atomics.wait(state, SET, seen, millis)
  }
}
