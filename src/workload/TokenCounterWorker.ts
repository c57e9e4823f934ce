/**
 * The script of the thread that `TokenCounter.layerWorker` starts. It loads the tokenizer named in its worker data and
 * answers messages with counts until it is told to close. Not for import.
 *
 * @since 0.1.0
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeWorkerRunner from "@effect/platform-node/NodeWorkerRunner"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as WorkerRunner from "effect/workers/WorkerRunner"
import { workerData } from "node:worker_threads"
import type { Reply, Request } from "./internal/WorkerCounter.ts"
import { layer, Tokenizer } from "./Tokenizer.ts"

const program = Effect.gen(function* () {
  const { tokenizer: name } = yield* Schema.decodeUnknownEffect(Schema.Struct({ tokenizer: Schema.String }))(workerData)
  const platform = yield* WorkerRunner.WorkerRunnerPlatform
  const runner = yield* platform.start<Reply, Request>()
  const load = yield* Effect.cached(Effect.provide(Tokenizer, layer(name)))

  const answer = (texts: Request) =>
    Effect.map(load, (tokenizer): Reply => texts.map((text) => tokenizer.count(text))).pipe(
      Effect.catch((error) => Effect.succeed<Reply>({ failed: error.description })),
      Effect.catchDefect((defect) => Effect.succeed<Reply>({ failed: String(defect) }))
    )

  // Loaded before the first text comes; a failure is told to whoever asks for a count.
  yield* Effect.forkChild(Effect.exit(load))
  yield* runner.run((port, texts) => Effect.flatMap(answer(texts), (reply) => runner.send(port, reply)))
})

NodeRuntime.runMain(Effect.provide(program, NodeWorkerRunner.layer))
