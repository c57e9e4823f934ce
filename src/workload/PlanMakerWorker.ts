/**
 * The script of the thread that `PlanMaker.layerWorker` starts. It loads the tokenizer named in its worker data and answers
 * messages with plans until it is told to close. Not for import.
 *
 * @since 0.2.0
 */
import * as Result from "effect/Result"
import * as Answering from "./internal/answering.ts"
import * as Planner from "./internal/planner.ts"
import { type Answer, WorkerData } from "./internal/WorkerPlanner.ts"
import * as Wrong from "./internal/wrong.ts"

Answering.run(WorkerData, (tokenizer, { options }) => {
  const planner = Planner.make(options, tokenizer)
  return (ask: Planner.Ask): Answer => {
    const batch = planner.build(ask)
    return Result.isSuccess(batch) ? { batch: batch.success } : { wrong: Wrong.encode(batch.failure) }
  }
})
