import MersenneTwister from "mersenne-twister"

/** Draws from [0, 1) with 32 bits. */
export type Uniform = () => number

/** What a generator is for: each purpose has its own, so that the text does not depend on how times are drawn. */
export type Purpose = "text" | "timing" | "faults" | "answer"

/** FNV-1a over the UTF-16 units of a text, then the finalizer of MurmurHash3, so that close texts give far seeds. */
const hash = (text: string): number => {
  let h = 0x811c9dc5
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193)
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

/**
 * The generator of one request: the same seed, id and purpose give the same draws, whatever else is going on. It is made
 * at the first draw, because making one takes longer than hundreds of draws.
 */
export const make = (seed: number, id: string | number, purpose: Purpose): Uniform => {
  let twister: MersenneTwister | undefined
  return () => {
    twister ??= new MersenneTwister(hash(`${seed}/${id}/${purpose}`))
    return twister.random()
  }
}
