/**
 * LLMPerf's schedule file, with two columns of our own that may be there.
 *
 * | column | unit | |
 * | --- | --- | --- |
 * | `scheduled_offset_s` | s | when to send, counted from the start of the run |
 * | `input_tokens` | tokens | length of the prompt |
 * | `output_tokens` | tokens | length asked of the answer |
 * | `session` | | optional: the conversation it belongs to, any label; empty or 0 for none |
 * | `prefix_blocks_N` | | optional: the ids of the blocks of N tokens that the prompt begins with, separated by spaces |
 *
 * @since 0.2.0
 */
import * as Cells from "../internal/scheduleCells.ts"
import type { Format } from "./Format.ts"

/**
 * The name of the column of blocks of so many tokens.
 *
 * @category getters
 * @since 0.2.0
 */
export const blocksColumn = (blockTokens: number): string => `prefix_blocks_${blockTokens}`

const blocksName = /^prefix_blocks_([1-9]\d{0,8})$/

/**
 * The schedule file with these columns. A column of blocks is known by its name, which holds the length of a block.
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = (columns: ReadonlyArray<string>): Format => {
  const column = columns.find((name) => blocksName.test(name))
  const blockTokens = Number(blocksName.exec(column ?? "")?.[1])
  return {
    name: "llmperf",
    title: "LLMPerf schedule",
    timeColumn: "scheduled_offset_s",
    time: Cells.offset,
    inputColumn: "input_tokens",
    outputColumn: "output_tokens",
    tokens: Cells.count,
    mark: [],
    sessions: {
      columns: ["session"],
      make: () => {
        const sessionOf = Cells.labels()
        return (cell) => (cell === "0" || cell === 0 ? 0 : sessionOf(cell))
      }
    },
    blocks:
      column === undefined
        ? null
        : { column, blockTokens, expected: "whole numbers separated by spaces", read: Cells.ids },
    skipZero: null
  }
}
