import * as Sampling from "../../domain/Sampling.ts"
import type { Process } from "./arrivalModel.ts"

/** Adds up with Kahan's correction (1965), so that the error does not grow with the number of terms. */
const running = (next: () => number): (() => number) => {
  let sum = 0
  let lost = 0
  return () => {
    const term = next() - lost
    const total = sum + term
    lost = total - sum - term
    sum = total
    return total
  }
}

/**
 * Where the arrivals of a process lie when it has one arrival per unit of time, in ascending order.
 *
 * `constant` and `burst` begin at 0. The others are seen from a moment that has nothing to do with the arrivals: the gap
 * at that moment is longer than others in proportion to its length, and the moment falls anywhere in it. For a gamma law
 * of shape b and mean 1 that gap has shape b + 1 and the same scale (Cox, "Renewal theory", 1962, chapter 5). What is
 * left of an exponential gap is exponential again.
 */
export const positions = (process: Process, uniform: Sampling.Uniform): (() => number) => {
  let index = 0
  switch (process.kind) {
    case "constant":
      return () => index++
    case "burst":
      return () => {
        const position = index - (index % process.size)
        index++
        return position
      }
    case "poisson":
      return running(() => Sampling.exponential(uniform))
    case "gamma": {
      const shape = process.burstiness
      if (shape === 1) return running(() => Sampling.exponential(uniform))
      return running(() =>
        index++ === 0
          ? (uniform() * Sampling.gamma(shape + 1, uniform)) / shape
          : Sampling.gamma(shape, uniform) / shape
      )
    }
  }
}
