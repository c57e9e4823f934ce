/**
 * @title A run with a sender of one's own
 *
 * Gives a load test in virtual time the sender of `examples/11_new-sender.ts`, and says when it began.
 * Run it with `node examples/12_run-new-sender.ts`.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Console, DateTime, Effect, Layer } from "effect"
import type { LoadTestConfig } from "../src/domain/RunConfig.ts"
import * as LoadTest from "../src/engine/LoadTest.ts"
import * as SimulatedProvider from "../src/engine/SimulatedProvider.ts"
import * as ModelServer from "../src/simulator/ModelServer.ts"
import * as VirtualClock from "../src/simulator/VirtualClock.ts"
import * as TokenCounter from "../src/workload/TokenCounter.ts"
import * as Tokenizer from "../src/workload/Tokenizer.ts"
import { onTheMinute } from "./11_new-sender.ts"

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
  yield* Effect.sleep("12 seconds")
  const { document } = yield* LoadTest.run({ config, sender: onTheMinute })
  const start = DateTime.makeUnsafe(Number(document.get("start_time")) * 1_000)
  yield* Console.log(`began at second ${DateTime.getPartUtc(start, "second")} of a minute`)
})

await program.pipe(Effect.scoped, Effect.provide([layer, NodeServices.layer]), Effect.runPromise)
