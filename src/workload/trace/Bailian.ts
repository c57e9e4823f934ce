/**
 * The traces of Alibaba's Bailian (alibaba-edu/qwen-bailian-usagetraces-anon): JSON lines with `chat_id`,
 * `parent_chat_id` (-1 for the first turn), `timestamp` (s), `input_length`, `output_length`, `type`, `turn` and
 * `hash_ids`, blocks of 16 tokens. Turns that follow from each other are one session.
 *
 * @since 0.2.0
 */
import * as Cells from "../internal/scheduleCells.ts"
import type { Format, Sessions } from "./Format.ts"

const isRoot = (parent: unknown): boolean => Cells.isBlank(parent) || Number(parent) === -1

const sessions: Sessions = {
  columns: ["chat_id", "parent_chat_id"],
  make: () => {
    const chats = Cells.numbering()
    // A parent from before the trace began has a session too
    return (chat, parent) => (isRoot(parent) ? chats.of(chat) : chats.of(chat, chats.of(parent)))
  }
}

/**
 * @category constructors
 * @since 0.2.0
 */
export const make = (): Format => ({
  name: "bailian",
  title: "Bailian (Qwen) trace",
  timeColumn: "timestamp",
  time: Cells.time("s"),
  inputColumn: "input_length",
  outputColumn: "output_length",
  tokens: Cells.looseCount,
  mark: ["chat_id"],
  sessions,
  blocks: { column: "hash_ids", blockTokens: 16, expected: "a list of whole numbers", read: Cells.ids },
  skipZero: "requests without input or output tokens"
})
