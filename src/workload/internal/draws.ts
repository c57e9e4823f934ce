const WORD = 2 ** 32
const WARM_UP = 12

/** What a sequence of words is for; ids of blocks and of requests must not meet. */
const uses = { block: 1, tail: 2, check: 3 } as const

/**
 * Draws from [0, limit). The generator is sfc32 of Chris Doty-Humphrey's PractRand: small, fast to begin, and its 128 bits
 * of state keep any two ids apart.
 */
export const draws = (from: {
  readonly seed: number
  readonly use: keyof typeof uses
  readonly id: number
}): ((limit: number) => number) => {
  const { id, seed, use } = from
  let a = (id % WORD) | 0
  let b = Math.floor(id / WORD) | 0
  let c = ((seed % WORD) ^ Math.imul(Math.floor(seed / WORD), 0x9e3779b1)) | 0
  let counter: number = uses[use]
  const next = (): number => {
    const result = (((a + b) | 0) + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (c << 21) | (c >>> 11)
    c = (c + result) | 0
    return result >>> 0
  }
  for (let i = 0; i < WARM_UP; i++) next()
  return (limit) => Math.floor((next() / WORD) * limit)
}
