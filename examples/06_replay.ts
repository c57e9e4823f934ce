/**
 * @title Replay a schedule
 *
 * Reads a schedule, plays it ten times as fast against a simulated server, each request at its time, and says how late the
 * client was. Run it with `node examples/06_replay.ts`.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Console, Effect, Layer } from "effect"
import { fileURLToPath } from "node:url"
import type { ReplayConfig } from "../src/domain/RunConfig.ts"
import * as Pacer from "../src/engine/Pacer.ts"
import * as Replay from "../src/engine/Replay.ts"
import * as OpenAi from "../src/provider/OpenAi.ts"
import * as Transport from "../src/provider/Transport.ts"
import * as HttpFront from "../src/simulator/HttpFront.ts"
import * as Latency from "../src/simulator/Latency.ts"
import * as ModelServer from "../src/simulator/ModelServer.ts"
import * as PromptMaker from "../src/workload/PromptMaker.ts"
import * as ScheduleEdit from "../src/workload/ScheduleEdit.ts"
import * as ScheduleFile from "../src/workload/ScheduleFile.ts"
import * as TokenCounter from "../src/workload/TokenCounter.ts"

const config: ReplayConfig = {
  model: "demo",
  llmApi: "openai",
  timeoutSeconds: null,
  graceSeconds: 5,
  requestTimeoutSeconds: null,
  maxInFlight: null,
  whenFull: "queue",
  maxSampledRequestsPerSecond: null,
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

const server = HttpFront.layer(HttpFront.HttpFrontOptions.make({})).pipe(
  Layer.provide(ModelServer.layer(ModelServer.ModelServerOptions.make({ itl: Latency.constant(0.002) })))
)

const provider = Layer.unwrap(
  Effect.map(HttpFront.HttpFront, ({ url }) => OpenAi.layer({ apiBase: url, apiKey: null, model: config.model }))
).pipe(Layer.provide([server, Transport.layer()]))

// Tokens are counted, prompts made and the clock watched on threads of their own.
const threads = Layer.mergeAll(
  TokenCounter.layerWorker(),
  PromptMaker.layerWorker({ seed: config.seed, promptMode: config.promptMode, blockTokens: null }),
  Pacer.layerThread
)

const path = fileURLToPath(new URL("../schedules/example_schedule.csv", import.meta.url))

const program = Effect.gen(function* () {
  const schedule = ScheduleEdit.speed(yield* ScheduleFile.read(path), 10)
  const origin = { _tag: "File", path, verbatim: false, subdir: true, portable: false, details: {} } as const
  const { summary } = yield* Replay.run({ config, schedule, origin })
  yield* Console.log(`${summary.num_completed_requests} of ${schedule.length} requests, each at its time`)
  yield* Console.log(`sent at most ${summary.dispatch_lag_s.max} s late`)
})

await program.pipe(Effect.scoped, Effect.provide([provider, threads, NodeServices.layer]), Effect.runPromise)
