import * as Effect from "effect/Effect"

/**
 * Something that comes once, or not at all.
 *
 * - `set`: it is here; what comes later is ignored
 * - `within`: waits for it so long, in real time whatever the clock of the fiber; `null` when it did not come
 */
export interface Once<A> {
  readonly set: (value: A) => void
  readonly within: (millis: number) => Effect.Effect<A | null>
}

export const make = <A>(): Once<A> => {
  const waiting = new Set<(value: A | null) => void>()
  let come: { readonly value: A } | null = null
  return {
    set: (value) => {
      if (come !== null) return
      come = { value }
      for (const resume of waiting) resume(value)
    },
    within: (millis) =>
      Effect.callback((resume) => {
        if (come !== null) return resume(Effect.succeed(come.value))
        const done = (value: A | null): void => {
          stop()
          resume(Effect.succeed(value))
        }
        const timer = setTimeout(() => done(null), millis)
        const stop = (): void => {
          clearTimeout(timer)
          waiting.delete(done)
        }
        waiting.add(done)
        return Effect.sync(stop)
      })
  }
}
