/**
 * @title A load test as a program
 *
 * Composes the layers that `llmperf load-test` composes, tests a simulated server on loopback, and prints two numbers.
 * Run it with `node examples/01_load-test.ts`.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Console, Effect, Layer } from "effect"
import type { LoadTestConfig } from "../src/domain/RunConfig.ts"
import * as LoadTest from "../src/engine/LoadTest.ts"
import * as OpenAi from "../src/provider/OpenAi.ts"
import * as Transport from "../src/provider/Transport.ts"
import * as HttpFront from "../src/simulator/HttpFront.ts"
import * as Latency from "../src/simulator/Latency.ts"
import * as ModelServer from "../src/simulator/ModelServer.ts"
import * as TokenCounter from "../src/workload/TokenCounter.ts"
import * as Tokenizer from "../src/workload/Tokenizer.ts"

const config: LoadTestConfig = {
  model: "demo",
  llmApi: "openai",
  meanInputTokens: 200,
  stddevInputTokens: 20,
  meanOutputTokens: 30,
  stddevOutputTokens: 5,
  numConcurrentRequests: 4,
  maxNumCompletedRequests: 12,
  timeoutSeconds: 30,
  graceSeconds: 5,
  requestTimeoutSeconds: null,
  additionalSamplingParams: {},
  metadata: {},
  seed: 11111,
  promptMode: "exact",
  countTokens: "auto",
  warmup: false,
  warmupRequests: 0,
  requestIdHeader: "x-request-id",
  runId: "example",
  resultsDir: null
}

// A server whose first token comes after 50 ms, and every other 5 ms later. Any free port of 127.0.0.1 will do.
const server = HttpFront.layer(HttpFront.HttpFrontOptions.make({})).pipe(
  Layer.provide(
    ModelServer.layer(
      ModelServer.ModelServerOptions.make({ ttft: Latency.constant(0.05), itl: Latency.constant(0.005) })
    )
  )
)

// The API under test. For a real one: OpenAi.layerConfig({ model: "…" }) reads OPENAI_API_BASE and OPENAI_API_KEY.
const provider = Layer.unwrap(
  Effect.map(HttpFront.HttpFront, ({ url }) => OpenAi.layer({ apiBase: url, apiKey: null, model: config.model }))
).pipe(Layer.provide([server, Transport.layer()]))

const program = Effect.gen(function* () {
  const { summary } = yield* LoadTest.run({ config })
  yield* Console.log(`${summary.num_completed_requests} requests, ${summary.number_errors} errors`)
  yield* Console.log(`${summary.total_output_tokens} tokens in chunks of ${summary.mean_tokens_per_chunk}`)
})

await program.pipe(
  Effect.scoped,
  Effect.provide([provider, Tokenizer.layerLlama, TokenCounter.layerWorker(), NodeServices.layer]),
  Effect.runPromise
)
