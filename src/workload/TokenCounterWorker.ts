/**
 * The script of the thread that `TokenCounter.layerWorker` starts. It loads the tokenizer named in its worker data and
 * answers messages with counts until it is told to close. Not for import.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as Answering from "./internal/answering.ts"

Answering.run(
  Schema.Struct({ tokenizer: Schema.String }),
  ({ count }) =>
    (text: string) =>
      count(text)
)
