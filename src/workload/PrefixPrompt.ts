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
import { draws } from "./internal/draws.ts"
import * as Vocabulary from "./internal/vocabulary.ts"
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
const SHORTEST = "I"

/**
 * A builder for one run. Counts a few thousand words first.
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = (options: Options): PrefixPromptBuilder => {
  const { blockTokens, seed, tokenizer } = options
  const { exact, tokens, words } = Vocabulary.make(tokenizer)
  const maximumBlocks = Math.max(1, Math.floor((options.maximumCachedTokens ?? DEFAULT_CACHED_TOKENS) / blockTokens))
  // A map keeps the order in which keys came: the first is the one used longest ago.
  const blocks = new Map<number, string>()

  const text = (use: "block" | "tail", id: number, budget: number): string => {
    const draw = draws({ seed, use, id })
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
    const found = known ?? text("block", id, blockTokens)
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
        prompt += left >= blockTokens ? block(blockId) : text("block", blockId, left)
        left -= blockTokens
      }
      if (left > 0) prompt += text("tail", id, left)
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
