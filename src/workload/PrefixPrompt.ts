/**
 * Prompts that begin with blocks of text which other prompts begin with too, as a trace says it was in production. A
 * server with a prefix cache then finds what it found there.
 *
 * The text is words of the sonnets that the tokenizer makes one token of, wherever they stand. So a block is exactly its
 * number of words, blocks put together have exactly the sum of their tokens, and the beginning of a block is the beginning
 * of its text. It carries no instruction: that would come first and differ between prompts. How long answers become is then
 * up to the server; ask for full length with `ignore_eos`.
 *
 * @since 0.2.0
 */
import type { PrefixBlocks } from "../domain/Schedule.ts"
import * as Corpus from "./Corpus.ts"
import type { Prompt } from "./Prompt.ts"
import type { Tokenizer } from "./Tokenizer.ts"

/**
 * What to build.
 *
 * - `id`: number of the request; decides the text behind the blocks, which no other request has
 * - `inputTokens`: tokens of the whole prompt
 * - `blocks`: ids of the blocks it begins with, used as far as they fit, the last one in part
 *
 * @category models
 * @since 0.2.0
 */
export interface PrefixRequest {
  readonly id: number
  readonly inputTokens: number
  readonly blocks: ArrayLike<number>
}

/**
 * Builds prompts, each when it is needed: some hundredths of a millisecond for 8,000 tokens of blocks that were used not
 * long ago.
 *
 * - `exact`: prompts have the asked number of tokens. When the tokenizer makes one token of too few words it is `false`:
 *   prompts are then counted one by one, and shorter than asked
 *
 * @category models
 * @since 0.2.0
 */
export interface PrefixPromptBuilder {
  readonly exact: boolean
  readonly build: (request: PrefixRequest) => Prompt
}

/**
 * - `seed`: an integer; decides the text of all ids. The same seed gives the same bytes, another seed shares nothing with
 *   what a server may still have in its cache
 * - `blockTokens`: tokens of a block
 * - `maximumCachedTokens`: how much text of blocks is kept, in tokens, about 5 bytes each; 2,000,000 when left out. The
 *   blocks used longest ago are built anew
 *
 * @category models
 * @since 0.2.0
 */
export interface Options {
  readonly tokenizer: Tokenizer["Service"]
  readonly seed: number
  readonly blockTokens: number
  readonly maximumCachedTokens?: number | undefined
}

const DEFAULT_CACHED_TOKENS = 2_000_000
const FEWEST_WORDS = 4
const CHECKED_ROUNDS = 4
const SHORTEST = "I"
const WORD = 2 ** 32
const WARM_UP = 12

/** What a sequence of words is for; ids of blocks and of requests must not meet. */
const purpose = { block: 1, tail: 2, check: 3 } as const

/**
 * Draws from [0, limit). The generator is sfc32 of Chris Doty-Humphrey's PractRand: small, fast to begin, and its 128 bits
 * of state keep any two ids apart.
 */
const draws = (seed: number, use: number, id: number): ((limit: number) => number) => {
  let a = (id % WORD) | 0
  let b = Math.floor(id / WORD) | 0
  let c = ((seed % WORD) ^ Math.imul(Math.floor(seed / WORD), 0x9e3779b1)) | 0
  let counter = use
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

interface Vocabulary {
  readonly exact: boolean
  /** Each with a space before it. */
  readonly words: ReadonlyArray<string>
  /** Tokens of each word behind others. */
  readonly tokens: ReadonlyArray<number>
}

const sonnetWords: ReadonlyArray<string> = [...new Set(Corpus.text.toLowerCase().match(/[a-z]+/g))]

const vocabulary = ({ count }: Tokenizer["Service"]): Vocabulary => {
  const before = count("A")
  const behind = (word: string) => count(`A ${word}`) - before
  const single = sonnetWords.filter((word) => count(word) === 1 && behind(word) === 1).map((word) => ` ${word}`)
  if (single.length >= FEWEST_WORDS) {
    // Some tokenizers join words, and so each must be seen beside others.
    const draw = draws(0, purpose.check, 0)
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

/**
 * A builder for one run. Counts a few thousand words first.
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = (options: Options): PrefixPromptBuilder => {
  const { blockTokens, seed, tokenizer } = options
  const { exact, tokens, words } = vocabulary(tokenizer)
  const maximumBlocks = Math.max(1, Math.floor((options.maximumCachedTokens ?? DEFAULT_CACHED_TOKENS) / blockTokens))
  // A map keeps the order in which keys came: the first is the one used longest ago.
  const blocks = new Map<number, string>()

  const text = (use: number, id: number, budget: number): string => {
    const draw = draws(seed, use, id)
    const parts: Array<string> = []
    for (let left = budget; ;) {
      const index = draw(words.length)
      left -= tokens[index] ?? 1
      if (left < 0) break
      parts.push(words[index] ?? "")
    }
    return parts.join("")
  }

  const block = (id: number): string => {
    const known = blocks.get(id)
    if (known !== undefined) blocks.delete(id)
    else if (blocks.size >= maximumBlocks) {
      for (const oldest of blocks.keys()) {
        blocks.delete(oldest)
        break
      }
    }
    const found = known ?? text(purpose.block, id, blockTokens)
    blocks.set(id, found)
    return found
  }

  return {
    exact,
    build: ({ blocks, id, inputTokens }) => {
      let prompt = ""
      let left = inputTokens
      for (let i = 0; i < blocks.length && left > 0; i++) {
        const blockId = blocks[i] ?? 0
        prompt += left >= blockTokens ? block(blockId) : text(purpose.block, blockId, left)
        left -= blockTokens
      }
      if (left > 0) prompt += text(purpose.tail, id, left)
      // A tokenizer may have no word that is short enough; a prompt is never empty
      const trimmed = prompt.slice(1) || SHORTEST
      return { text: trimmed, inputTokens: exact ? inputTokens : tokenizer.count(trimmed) }
    }
  }
}

/**
 * The ids of the blocks of a row of a schedule, rows counted from 0; none when the schedule has none.
 *
 * @category getters
 * @since 0.2.0
 */
export const blocksOf = (prefix: PrefixBlocks | null, row: number): ArrayLike<number> =>
  prefix === null ? [] : prefix.ids.subarray(prefix.start[row], prefix.start[row + 1])
