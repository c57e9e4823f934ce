/**
 * The script of the thread that `PromptMaker.layerWorker` starts. It loads the tokenizer named in its worker data and
 * answers messages with prompts until it is told to close. Not for import.
 *
 * @since 0.2.0
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Answering from "./internal/answering.ts"
import * as RowPrompts from "./internal/rowPrompts.ts"
import { type Answer, type Call, WorkerData, Wrong } from "./internal/WorkerMaker.ts"

const encodeWrong = Schema.encodeSync(Wrong)

Answering.run(WorkerData, (tokenizer, { options }) => {
  const prompts = RowPrompts.make(options, tokenizer)
  return (call: Call): Answer => {
    if ("minimumsFor" in call) return { minimums: prompts.minimumInputTokens(call.minimumsFor) }
    const built = prompts.build(call.rows)
    return Result.isSuccess(built) ? { prompts: built.success } : { wrong: encodeWrong(built.failure) }
  }
})
