/**
 * The script of the thread that `PromptMaker.layerWorker` starts. It loads the tokenizer named in its worker data and
 * answers messages with prompts until it is told to close. Not for import.
 *
 * @since 0.2.0
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeWorkerRunner from "@effect/platform-node/NodeWorkerRunner"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as WorkerRunner from "effect/workers/WorkerRunner"
import { workerData } from "node:worker_threads"
import * as RowPrompts from "./internal/rowPrompts.ts"
import { type Answer, type Call, type Reply, type Request, WorkerData, Wrong } from "./internal/WorkerMaker.ts"
import { layer, Tokenizer } from "./Tokenizer.ts"

const encodeWrong = Schema.encodeSync(Wrong)

const answerWith = (prompts: RowPrompts.RowPrompts, call: Call): Answer => {
  if ("minimumsFor" in call) return { minimums: prompts.minimumInputTokens(call.minimumsFor) }
  const built = prompts.build(call.rows)
  return Result.isSuccess(built) ? { prompts: built.success } : { wrong: encodeWrong(built.failure) }
}

const program = Effect.gen(function* () {
  const { options, tokenizer } = yield* Schema.decodeUnknownEffect(WorkerData)(workerData)
  const platform = yield* WorkerRunner.WorkerRunnerPlatform
  const runner = yield* platform.start<Reply, Request>()
  const load = yield* Effect.cached(
    Effect.map(Effect.provide(Tokenizer, layer(tokenizer)), (loaded) => RowPrompts.make(options, loaded))
  )

  const answer = (calls: Request) =>
    Effect.map(load, (prompts): Reply => calls.map((call) => answerWith(prompts, call))).pipe(
      Effect.catch((error) => Effect.succeed<Reply>({ failed: error.description })),
      Effect.catchDefect((defect) => Effect.succeed<Reply>({ failed: String(defect) }))
    )

  // Loaded before the first call comes; a failure is told to whoever calls.
  yield* Effect.forkChild(Effect.exit(load))
  yield* runner.run((port, calls) => Effect.flatMap(answer(calls), (reply) => runner.send(port, reply)))
})

NodeRuntime.runMain(Effect.provide(program, NodeWorkerRunner.layer))
