/**
 * The traces of Mooncake (kvcache-ai/Mooncake), the one of the first paper and those of FAST'25: JSON lines with
 * `timestamp` (whole ms), `input_length`, `output_length` and `hash_ids`, the blocks of 512 tokens the prompt is made of.
 * Equal ids are equal text; the last block may be used in part. `session_id`, an extension of other tools, is read too.
 *
 * Many rows share one timestamp: the recorded clock was coarse. They are replayed as the bursts they are in the file.
 *
 * @since 0.2.0
 */
import * as Cells from "../internal/scheduleCells.ts"
import type { Format } from "./Format.ts"

/**
 * @category constructors
 * @since 0.2.0
 */
export const make = (): Format => ({
  name: "mooncake",
  title: "Mooncake trace",
  timeColumn: "timestamp",
  time: Cells.time("ms"),
  inputColumn: "input_length",
  outputColumn: "output_length",
  tokens: Cells.looseCount,
  mark: [],
  sessions: { columns: ["session_id"], make: Cells.labels },
  blocks: { column: "hash_ids", blockTokens: 512, expected: "a list of whole numbers", read: Cells.ids },
  skipZero: "requests without input or output tokens"
})
