/**
 * A seeded generator that draws the same numbers as CPython's `random` module (3.2 and later).
 *
 * LLMPerf plans its prompts with that module, so the same seed gives the same lengths and the same order of lines here.
 * The core is MT19937; what is built on it (53-bit floats, Box-Muller with a cached second value, Fisher-Yates from the
 * end, rejection of whole words) follows the documented behaviour of the standard library.
 *
 * A generator is mutable: every draw moves it on. Make one per run and don't share it between fibers.
 *
 * @since 0.1.0
 */
import MersenneTwister from "mersenne-twister"

/**
 * The draws.
 *
 * - `random()`: a float in [0, 1) with 53 random bits
 * - `getrandbits(bits)`: an integer of that many random bits, 1 to 53
 * - `randbelow(limit)`: an integer in [0, limit), limit from 1 to 2^53 - 1
 * - `randint(low, high)`: an integer in [low, high]
 * - `gauss(mean, stddev)`: a normal deviate; they are made in pairs, the second is kept for the next call
 * - `shuffle(items)`: reorders the array in place
 * - `fork(name)`: an independent generator that depends on the seed and the name only, not on what was drawn before.
 *   CPython has no such thing: draws from a fork leave the order of the main draws as it is
 *
 * @category models
 * @since 0.1.0
 */
export interface PythonRandom {
  readonly random: () => number
  readonly getrandbits: (bits: number) => number
  readonly randbelow: (limit: number) => number
  readonly randint: (low: number, high: number) => number
  readonly gauss: (mean: number, stddev: number) => number
  readonly shuffle: (items: Array<unknown>) => void
  readonly fork: (name: string) => PythonRandom
}

const TWO_PI = 2 * Math.PI
const WORD = 2 ** 32

// CPython seeds by array with the magnitude of the integer, 32 bits at a time, the lowest word first.
const seedWords = (seed: number | bigint): ReadonlyArray<number> => {
  const words: Array<number> = []
  let rest = BigInt(seed)
  if (rest < 0n) rest = -rest
  do {
    words.push(Number(rest & 0xffffffffn))
    rest >>= 32n
  } while (rest > 0n)
  return words
}

const bitLength = (value: number): number => (value < WORD ? 32 - Math.clz32(value) : 64 - Math.clz32(value / WORD))

const fromKey = (key: ReadonlyArray<number>): PythonRandom => {
  const twister = new MersenneTwister([...key])
  let cached: number | undefined

  const random = (): number => {
    const high = twister.random_int() >>> 5
    const low = twister.random_int() >>> 6
    return (high * 67108864 + low) / 9007199254740992
  }
  const getrandbits = (bits: number): number => {
    if (bits <= 32) return twister.random_int() >>> (32 - bits)
    const low = twister.random_int()
    return (twister.random_int() >>> (64 - bits)) * WORD + low
  }
  const randbelow = (limit: number): number => {
    const bits = bitLength(limit)
    let value = getrandbits(bits)
    while (value >= limit) value = getrandbits(bits)
    return value
  }
  return {
    random,
    getrandbits,
    randbelow,
    randint: (low, high) => low + randbelow(high - low + 1),
    gauss: (mean, stddev) => {
      let z = cached
      cached = undefined
      if (z === undefined) {
        const angle = random() * TWO_PI
        const radius = Math.sqrt(-2 * Math.log(1 - random()))
        z = Math.cos(angle) * radius
        cached = Math.sin(angle) * radius
      }
      return mean + z * stddev
    },
    shuffle: (items) => {
      for (let i = items.length - 1; i > 0; i--) {
        const j = randbelow(i + 1)
        const item = items[i]
        items[i] = items[j]
        items[j] = item
      }
    },
    fork: (name) => fromKey([...key, WORD - 1, ...Array.from(name, (char) => char.codePointAt(0) ?? 0)])
  }
}

/**
 * A generator seeded like `random.seed(seed)`. The seed is an integer of any size; its sign does not matter, as in
 * CPython. Throws a `RangeError` when a number is not an integer.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (seed: number | bigint): PythonRandom => fromKey(seedWords(seed))
