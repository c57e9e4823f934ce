/** Whole numbers from 0 to 2³² − 1, all equally likely. */
export type Words = () => number

const rotated = (word: number, by: number): number => (word << by) | (word >>> (32 - by))

/** The generator xoshiro128** (Blackman and Vigna, "Scrambled linear pseudorandom number generators", 2021). */
export const fromState = (state: readonly [number, number, number, number]): Words => {
  let [a, b, c, d] = state
  return () => {
    const word = Math.imul(rotated(Math.imul(b, 5), 7), 9) >>> 0
    const shifted = b << 9
    c ^= a
    d ^= b
    b ^= c
    a ^= d
    c ^= shifted
    d = rotated(d, 11)
    return word
  }
}

/** The finalizer of MurmurHash3, which spreads every bit of a number over all of them. */
const mixed = (word: number): number => {
  let hash = Math.imul(word ^ (word >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return hash ^ (hash >>> 16)
}

const GOLDEN = 0x9e3779b9

/** A generator for a seed, and for one of several streams of the same seed: every word of its state depends on both. */
export const fromSeed = (seed: number, stream: number): Words => {
  let hash = 0
  for (const part of [seed, Math.floor(seed / 2 ** 32), stream]) hash = mixed(hash + GOLDEN + (part | 0))
  const word = (place: number): number => mixed(hash + Math.imul(GOLDEN, place))
  // A state of zeros would stay so
  return fromState([word(1), word(2), word(3), word(4) | 1])
}
