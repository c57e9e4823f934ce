/**
 * @title A run with an output of one's own
 *
 * Gives a load test in virtual time the output of `examples/09_new-output.ts`, and then asks the database.
 * Run it with `node examples/10_run-new-output.ts`.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Console, Effect, FileSystem, Layer } from "effect"
import { DatabaseSync } from "node:sqlite"
import type { LoadTestConfig } from "../src/domain/RunConfig.ts"
import * as LoadTest from "../src/engine/LoadTest.ts"
import * as SimulatedProvider from "../src/engine/SimulatedProvider.ts"
import * as ModelServer from "../src/simulator/ModelServer.ts"
import * as VirtualClock from "../src/simulator/VirtualClock.ts"
import * as TokenCounter from "../src/workload/TokenCounter.ts"
import * as Tokenizer from "../src/workload/Tokenizer.ts"
import { sqlite } from "./09_new-output.ts"

const config: LoadTestConfig = {
  model: "demo",
  llmApi: "simulated",
  meanInputTokens: 300,
  stddevInputTokens: 50,
  meanOutputTokens: 200,
  stddevOutputTokens: 50,
  numConcurrentRequests: 2,
  maxNumCompletedRequests: 50,
  timeoutSeconds: 3_600,
  graceSeconds: 30,
  requestTimeoutSeconds: null,
  additionalSamplingParams: {},
  metadata: {},
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

const program = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const file = `${yield* fs.makeTempDirectoryScoped()}/runs.sqlite`
  const { document } = yield* LoadTest.run({ config, outputs: [sqlite(file)] })
  yield* Console.log(`the summary says: ${String(document.get("sqlite_rows"))} rows`)
  const database = new DatabaseSync(file, { readOnly: true })
  const { rows } = database.prepare("SELECT count(*) AS rows FROM requests WHERE ttft_s > 0").get() ?? {}
  database.close()
  yield* Console.log(`the database: ${String(rows)}`)
})

await program.pipe(Effect.scoped, Effect.provide([layer, NodeServices.layer]), Effect.runPromise)
