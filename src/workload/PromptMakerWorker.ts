/**
 * The script of the thread that `PromptMaker.layerWorker` starts. It loads the tokenizer named in its worker data and
 * answers messages with prompts until it is told to close. Not for import.
 *
 * @since 0.2.0
 */
import * as Result from "effect/Result"
import * as Answering from "./internal/answering.ts"
import * as RowPrompts from "./internal/rowPrompts.ts"
import { type Answer, type Call, WorkerData } from "./internal/WorkerMaker.ts"
import * as Wrong from "./internal/wrong.ts"

Answering.run(WorkerData, (tokenizer, { options }) => {
  const prompts = RowPrompts.make(options, tokenizer)
  return (call: Call): Answer => {
    if ("minimumsFor" in call) return { minimums: prompts.minimumInputTokens(call.minimumsFor) }
    const built = prompts.build(call.rows)
    return Result.isSuccess(built) ? { prompts: built.success } : { wrong: Wrong.encode(built.failure) }
  }
})
