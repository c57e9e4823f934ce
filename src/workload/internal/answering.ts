import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeWorkerRunner from "@effect/platform-node/NodeWorkerRunner"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as WorkerRunner from "effect/workers/WorkerRunner"
import { workerData } from "node:worker_threads"
import { layer, Tokenizer } from "../Tokenizer.ts"
import { type Reply, type Request } from "./WorkerCalls.ts"

/**
 * The whole of a worker thread: reads its data, loads the tokenizer named there, makes of it what answers calls, and answers
 * them until it is told to close.
 */
export const run = <Data extends { readonly tokenizer: string }, Encoded, Call, Answer>(
  data: Schema.Codec<Data, Encoded>,
  make: (tokenizer: Tokenizer["Service"], data: Data) => (call: Call) => Answer
): void => {
  const program = Effect.gen(function* () {
    const decoded = yield* Schema.decodeUnknownEffect(data)(workerData)
    const platform = yield* WorkerRunner.WorkerRunnerPlatform
    const runner = yield* platform.start<Reply<Answer>, Request<Call>>()
    const load = yield* Effect.cached(
      Effect.map(Effect.provide(Tokenizer, layer(decoded.tokenizer)), (tokenizer) => make(tokenizer, decoded))
    )

    const answer = (calls: Request<Call>) =>
      Effect.map(load, (answerOne): Reply<Answer> => calls.map((call) => answerOne(call))).pipe(
        Effect.catch((error) => Effect.succeed<Reply<Answer>>({ failed: error.description })),
        Effect.catchDefect((defect) => Effect.succeed<Reply<Answer>>({ failed: String(defect) }))
      )

    // Loaded before the first call comes; a failure is told to whoever calls.
    yield* Effect.forkChild(Effect.exit(load))
    yield* runner.run((port, calls) => Effect.flatMap(answer(calls), (reply) => runner.send(port, reply)))
  })
  NodeRuntime.runMain(Effect.provide(program, NodeWorkerRunner.layer))
}
