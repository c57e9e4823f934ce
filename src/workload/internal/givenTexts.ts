/** Which texts were given out: of each only a fingerprint is kept. */
export interface GivenTexts {
  readonly keyOf: (text: string) => number
  readonly has: (key: number) => boolean
  readonly add: (key: number) => void
}

// A Set holds no more. Beyond that, texts are compared only with those after it was emptied.
const MOST = 2 ** 24 - 1

// Two independent hashes in one safe integer.
const keyOf = (text: string): number => {
  let a = 0x811c9dc5
  let b = 0x9e3779b9
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    a = Math.imul(a ^ code, 0x01000193)
    b = Math.imul(b ^ code, 0x85ebca6b)
    b ^= b >>> 13
  }
  return (a >>> 0) * 2 ** 21 + (b >>> 11)
}

export const make = (): GivenTexts => {
  const keys = new Set<number>()
  return {
    keyOf,
    has: (key) => keys.has(key),
    add: (key) => {
      if (keys.size >= MOST) keys.clear()
      keys.add(key)
    }
  }
}
