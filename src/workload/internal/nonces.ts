/** The words that a prompt begins with, and no other prompt. */
import * as PythonRandom from "../PythonRandom.ts"
import type { Tokenizer } from "../Tokenizer.ts"
import * as Vocabulary from "./vocabulary.ts"

/** So many nonces are told apart at least: those of two runs of 10,000 requests meet once in 10,000 such pairs. */
const BITS = 40

/** Where a nonce ends. */
const END = "\n"

/** Some of them, to see how long they are where the tokenizer gives every word tokens of its own. */
const SAMPLED = 32

/**
 * - `of(id)`: the words of the request with this number, ending with the line. No two of up to a million million requests have the
 *   same, and of fewer than there are words to choose from, some hundreds, no two begin with the same word
 * - `samples`: some, all of one length in tokens as far as the tokenizer allows it
 */
export interface Nonces {
  readonly of: (id: number) => string
  readonly samples: ReadonlyArray<string>
}

/** Words that have one number of tokens and of letters where they are not one token each: as many as there are. */
const alike = ({ exact, tokens, words }: Vocabulary.Vocabulary): ReadonlyArray<string> => {
  if (exact) return words
  const groups = Object.values(Object.groupBy(words, (word, i) => `${word.length} ${tokens[i]}`))
  return groups.reduce<ReadonlyArray<string>>((most, group = []) => (group.length > most.length ? group : most), [])
}

const commonDivisor = (a: number, b: number): number => (b === 0 ? a : commonDivisor(b, a % b))

/**
 * The numbers 0, 1, 2 … are spread by id × factor + start, modulo how many nonces there are, and written in base of the words, the
 * lowest digit first. The factor has no divisor in common with the base, so two prompts begin with the same n words only when their
 * numbers differ by a multiple of base^n.
 */
export const make = (seed: number | bigint, tokenizer: Tokenizer["Service"]): Nonces => {
  const words = alike(Vocabulary.make(tokenizer))
  const length = Math.ceil(BITS / Math.log2(words.length))
  const base = BigInt(words.length)
  const random = PythonRandom.make(seed).fork("nonces")
  let factor = random.randbelow(Number.MAX_SAFE_INTEGER)
  while (commonDivisor(factor, words.length) !== 1) factor = random.randbelow(Number.MAX_SAFE_INTEGER)
  const start = random.randbelow(Number.MAX_SAFE_INTEGER)

  const of = (id: number): string => {
    let rest = BigInt.asUintN(128, BigInt(id) * BigInt(factor) + BigInt(start))
    let text = ""
    for (let i = 0; i < length; i++) {
      text += words[Number(rest % base)] ?? ""
      rest /= base
    }
    return text.slice(1) + END
  }
  return { of, samples: Array.from({ length: SAMPLED }, (_, id) => of(id)) }
}
