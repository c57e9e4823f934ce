/**
 * How much of the prompts of a schedule was there before: what a prefix cache could save.
 *
 * @since 0.2.0
 */
import type { Schedule } from "../../domain/Schedule.ts"

/**
 * Over all requests in the order in which they are due:
 *
 * - `blocks`: blocks of all prompts; `distinctBlocks`: how many different ones
 * - `blocksSeenBefore`: blocks that an earlier block has the id of
 * - `cachedInputTokens`: input tokens that a cache without limit would find: those of the blocks at the beginning of a
 *   prompt as far as all of them were seen before
 *
 * @category models
 * @since 0.2.0
 */
export interface PrefixSharing {
  readonly blockTokens: number
  readonly blocks: number
  readonly distinctBlocks: number
  readonly blocksSeenBefore: number
  readonly cachedInputTokens: number
}

const FIRST_CAPACITY = 1_024
const EMPTY = -1

const bits = new DataView(new ArrayBuffer(8))

const hashOf = (id: number): number => {
  bits.setFloat64(0, id)
  const mixed = Math.imul(bits.getInt32(0) ^ Math.imul(bits.getInt32(4), 0x9e3779b1), 0x85ebca6b)
  return mixed ^ (mixed >>> 15)
}

/** A set of numbers from 0 that can hold more than the 16 million of a `Set`, in 16 to 32 bytes each. */
const idSet = () => {
  let table = new Float64Array(FIRST_CAPACITY).fill(EMPTY)
  let size = 0

  const slotOf = (id: number): number => {
    const mask = table.length - 1
    let slot = hashOf(id) & mask
    while (table[slot] !== EMPTY && table[slot] !== id) slot = (slot + 1) & mask
    return slot
  }

  return {
    size: (): number => size,
    /** Adds an id and says whether it was there. */
    add: (id: number): boolean => {
      const slot = slotOf(id)
      if (table[slot] === id) return true
      table[slot] = id
      size++
      if (size * 2 > table.length) {
        const old = table
        table = new Float64Array(old.length * 2).fill(EMPTY)
        for (const known of old) if (known !== EMPTY) table[slotOf(known)] = known
      }
      return false
    }
  }
}

/**
 * Measures the sharing; `null` for a schedule without blocks.
 *
 * @category measuring
 * @since 0.2.0
 */
export const measure = ({ inputTokens, length, prefix }: Schedule): PrefixSharing | null => {
  if (prefix === null) return null
  const { blockTokens, ids, start } = prefix
  const seen = idSet()
  let blocksSeenBefore = 0
  let cachedInputTokens = 0
  for (let row = 0; row < length; row++) {
    let left = inputTokens[row] ?? 0
    let whole = true
    for (let i = start[row] ?? 0; i < (start[row + 1] ?? 0); i++) {
      const before = seen.add(ids[i] ?? 0)
      if (before) blocksSeenBefore++
      whole &&= before
      if (whole) cachedInputTokens += Math.min(left, blockTokens)
      left = Math.max(0, left - blockTokens)
    }
  }
  return { blockTokens, blocks: ids.length, distinctBlocks: seen.size(), blocksSeenBefore, cachedInputTokens }
}
