/**
 * @title A load test in virtual time
 *
 * Runs a load test against a modelled server in virtual time: nothing is sent, nobody waits, and the same seed gives the same
 * numbers. Run it with `node examples/07_virtual-time.ts`.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Console, Effect, Layer } from "effect"
import type { LoadTestConfig } from "../src/domain/RunConfig.ts"
import * as LoadTest from "../src/engine/LoadTest.ts"
import * as SimulatedProvider from "../src/engine/SimulatedProvider.ts"
import * as ModelServer from "../src/simulator/ModelServer.ts"
import * as VirtualClock from "../src/simulator/VirtualClock.ts"
import * as TokenCounter from "../src/workload/TokenCounter.ts"
import * as Tokenizer from "../src/workload/Tokenizer.ts"

const config: LoadTestConfig = {
  model: "demo",
  llmApi: "simulated",
  meanInputTokens: 300,
  stddevInputTokens: 50,
  meanOutputTokens: 200,
  stddevOutputTokens: 50,
  numConcurrentRequests: 2,
  maxNumCompletedRequests: 200,
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

// The model of a server that takes one request at a time.
const model = Layer.provide(
  SimulatedProvider.layer,
  ModelServer.layer(ModelServer.ModelServerOptions.make({ maxBatch: 1 }))
)

// Everything that waits lives in virtual time; tokens are counted on this thread, because another one has a clock of its own.
const layer = Layer.mergeAll(model, Layer.provideMerge(TokenCounter.layerInline, Tokenizer.layerLlama)).pipe(
  Layer.provideMerge(VirtualClock.layer)
)

const program = Effect.gen(function* () {
  const { summary } = yield* LoadTest.run({ config })
  const { mean_output_throughput_token_per_s: rate, wall_time_s: seconds } = summary
  yield* Console.log(`${summary.num_completed_requests} requests in ${seconds?.toFixed(1)} s of virtual time`)
  yield* Console.log(`TTFT p99 ${summary.ttft_s.quantiles.p99?.toFixed(3)} s, ${rate?.toFixed(1)} tokens/s`)
})

await program.pipe(Effect.scoped, Effect.provide([layer, NodeServices.layer]), Effect.runPromise)
