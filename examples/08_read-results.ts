/**
 * @title Read results
 *
 * Runs a small load test in virtual time into a temporary folder, then reads what it wrote, as any program can that reads
 * JSON. Run it with `node examples/08_read-results.ts`.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Console, Effect, FileSystem, Layer, Path, Schema, Stream } from "effect"
import type { LoadTestConfig } from "../src/domain/RunConfig.ts"
import * as LoadTest from "../src/engine/LoadTest.ts"
import * as SimulatedProvider from "../src/engine/SimulatedProvider.ts"
import * as Quantile from "../src/metrics/Quantile.ts"
import * as Ndjson from "../src/output/Ndjson.ts"
import * as ModelServer from "../src/simulator/ModelServer.ts"
import * as VirtualClock from "../src/simulator/VirtualClock.ts"
import * as TokenCounter from "../src/workload/TokenCounter.ts"
import * as Tokenizer from "../src/workload/Tokenizer.ts"

const config: LoadTestConfig = {
  model: "demo",
  llmApi: "simulated",
  meanInputTokens: 200,
  stddevInputTokens: 20,
  meanOutputTokens: 20,
  stddevOutputTokens: 5,
  numConcurrentRequests: 4,
  maxNumCompletedRequests: 20,
  timeoutSeconds: 60,
  graceSeconds: 5,
  requestTimeoutSeconds: null,
  additionalSamplingParams: {},
  metadata: { team: "inference" },
  seed: 11111,
  promptMode: "exact",
  countTokens: "auto",
  warmup: false,
  warmupRequests: 0,
  requestIdHeader: null,
  runId: "example",
  resultsDir: null
}

const model = Layer.provide(SimulatedProvider.layer, ModelServer.layer(ModelServer.ModelServerOptions.make({})))
const layer = Layer.mergeAll(model, Layer.provideMerge(TokenCounter.layerInline, Tokenizer.layerLlama)).pipe(
  Layer.provideMerge(VirtualClock.layer)
)

/** What this program wants to know of a summary; files have many more keys. */
const Summary = Schema.fromJsonString(
  Schema.Struct({
    model: Schema.String,
    results_num_completed_requests: Schema.Int,
    results_ttft_s_quantiles_p50: Schema.NullOr(Schema.Finite)
  })
)

const readBack = Effect.fn(function* (folder: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path

  const text = yield* fs.readFileString(path.join(folder, "demo_200_20_summary.json"))
  const summary = yield* Schema.decodeEffect(Summary)(text)
  yield* Console.log(`summary: ${summary.results_num_completed_requests} requests to ${summary.model}`)

  // Record by record, so that a file of any size will do; a run that was killed has this file too.
  const records = yield* Stream.runCollect(Ndjson.read(path.join(folder, "records.ndjson")))
  const ttft = Float64Array.from(records.flatMap(({ ttft_s }) => (ttft_s === null ? [] : [ttft_s]))).toSorted()
  yield* Console.log(`the same median: ${Quantile.quantile(ttft, 0.5) === summary.results_ttft_s_quantiles_p50}`)
})

const program = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const folder = yield* fs.makeTempDirectoryScoped({ prefix: "llmperf-" })
  yield* Effect.provide(LoadTest.run({ config: { ...config, resultsDir: folder } }), layer)
  yield* readBack(folder)
})

await program.pipe(Effect.scoped, Effect.provide(NodeServices.layer), Effect.runPromise)
