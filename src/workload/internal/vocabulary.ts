/** Words of the sonnets that a tokenizer makes one token of, wherever they stand. */
import * as Corpus from "../Corpus.ts"
import type { Tokenizer } from "../Tokenizer.ts"
import { draws } from "./draws.ts"

const FEWEST_WORDS = 4
const CHECKED_ROUNDS = 4

/**
 * - `exact`: whether each word is one token, and several have as many tokens as there are words. It is `false` when the tokenizer makes
 *   one token of too few words: these are then all words, with about so many tokens as `tokens` says
 * - `words`: each with a space before it
 * - `tokens`: tokens of each word behind others
 */
export interface Vocabulary {
  readonly exact: boolean
  readonly words: ReadonlyArray<string>
  readonly tokens: ReadonlyArray<number>
}

const sonnetWords: ReadonlyArray<string> = [...new Set(Corpus.text.toLowerCase().match(/[a-z]+/g))]

/** Counts some thousand words. */
export const make = ({ count }: Tokenizer["Service"]): Vocabulary => {
  const before = count("A")
  const behind = (word: string) => count(`A ${word}`) - before
  const single = sonnetWords.filter((word) => count(word) === 1 && behind(word) === 1).map((word) => ` ${word}`)
  if (single.length >= FEWEST_WORDS) {
    // Some tokenizers join words, and so each must be seen beside others.
    const draw = draws({ seed: 0, use: "check", id: 0 })
    const sample = Array.from({ length: CHECKED_ROUNDS }, () =>
      single.map((word) => word + single[draw(single.length)])
    )
    if (count(sample.flat().join("").slice(1)) === 2 * CHECKED_ROUNDS * single.length) {
      return { exact: true, words: single, tokens: single.map(() => 1) }
    }
  }
  return {
    exact: false,
    words: sonnetWords.map((word) => ` ${word}`),
    tokens: sonnetWords.map((word) => Math.max(1, behind(word)))
  }
}
