import { NodeServices } from "@effect/platform-node"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Path from "effect/Path"
import * as TestClock from "effect/testing/TestClock"
import { setTimeout } from "node:timers/promises"
import { RateLimited, Truncated } from "../../src/domain/LlmError.ts"
import { type RequestPlan } from "../../src/domain/RequestPlan.ts"
import { type LoadTestConfig, type RunConfig } from "../../src/domain/RunConfig.ts"
import * as LoadTest from "../../src/engine/LoadTest.ts"
import * as LiveStats from "../../src/metrics/LiveStats.ts"
import { Provider } from "../../src/provider/Provider.ts"
import { TokenCounter, layerInline } from "../../src/workload/TokenCounter.ts"
import * as Tokenizer from "../../src/workload/Tokenizer.ts"
import * as Scripted from "./scriptedProvider.ts"

/** What all runs of these tests are asked alike. */
export const common: RunConfig = {
  model: "org/demo-7b",
  llmApi: "scripted",
  graceSeconds: 30,
  requestTimeoutSeconds: null,
  additionalSamplingParams: {},
  metadata: {},
  seed: 11111,
  promptMode: "exact",
  countTokens: "auto",
  warmup: false,
  warmupRequests: 0,
  requestIdHeader: "x-request-id",
  runId: "run1",
  resultsDir: null
}

export const config: LoadTestConfig = {
  ...common,
  meanInputTokens: 60,
  stddevInputTokens: 5,
  meanOutputTokens: 8,
  stddevOutputTokens: 2,
  numConcurrentRequests: 4,
  maxNumCompletedRequests: 10,
  timeoutSeconds: 90
}

export const ids = (count: number): ReadonlyArray<number> => Array.from({ length: count }, (_, index) => index + 1)

/** Begins as many milliseconds late as its number says, and fails one request in five, in two ways. */
export const mixed = (plan: RequestPlan): ReadonlyArray<Scripted.Step> =>
  plan.id % 10 === 4
    ? [
        Scripted.sent,
        Scripted.wait(15),
        Scripted.fail(new RateLimited({ status: 429, body: "slow down", retryAfterSeconds: 1 }))
      ]
    : plan.id % 10 === 9
      ? [
          Scripted.sent,
          Scripted.wait(70),
          Scripted.text("half an"),
          Scripted.fail(new Truncated({ description: "reset" }))
        ]
      : [Scripted.wait(plan.id), ...usual(plan)]

/** A request that takes 10 s, of which 2 to its first word. */
export const tenSeconds = () => [
  Scripted.sent,
  Scripted.wait(2_000),
  Scripted.text("a"),
  Scripted.wait(8_000),
  Scripted.ended
]

/** A request that takes 100 ms to the first word and 20 ms for each further one. */
export const usual = (plan: RequestPlan): ReadonlyArray<Scripted.Step> =>
  Scripted.answer({ ttft: 100, gap: 20, words: plan.outputTokens })

interface Options {
  readonly config?: Partial<LoadTestConfig>
  readonly script?: (plan: RequestPlan) => ReadonlyArray<Scripted.Step>
  readonly counter?: TokenCounter["Service"]
  readonly run?: Omit<LoadTest.Options, "config" | "live">
  /** When `start` returns; by default once the clock of the run has started. */
  readonly ready?: () => boolean
}

/**
 * Starts a load test against a scripted provider and returns once its clock has started. Files are written meanwhile in
 * real time; everything else waits for the test clock.
 */
export const start = Effect.fnUntraced(function* (options: Options = {}) {
  const { provider, log } = yield* Scripted.make(options.script ?? usual)
  const live = LiveStats.make()
  const counting = options.counter === undefined ? layerInline : Layer.succeed(TokenCounter, options.counter)
  const fiber = yield* LoadTest.run({ ...options.run, config: { ...config, ...options.config }, live }).pipe(
    Effect.scoped,
    Effect.provideService(Provider, provider),
    Effect.provide(Layer.provideMerge(counting, Tokenizer.layerLlama)),
    Effect.forkChild
  )
  yield* until(options.ready ?? (() => live.startNanos !== null || fiber.pollUnsafe() !== undefined))
  return { fiber, live, log }
})

/** A moment of real time. */
export const pause = Effect.promise(() => setTimeout(2))

/** Waits in real time, at most ten seconds. */
export const until = Effect.fnUntraced(function* (condition: () => boolean) {
  for (let tries = 0; !condition() && tries < 5_000; tries++) yield* pause
  if (!condition()) return yield* Effect.die(new Error("waited in vain"))
})

/** A whole load test, for which ten minutes of the test clock must be enough. */
export const complete = Effect.fnUntraced(function* (options: Options = {}) {
  const { fiber, live, log } = yield* start(options)
  yield* TestClock.adjust("10 minutes")
  return { result: yield* Fiber.join(fiber), live, log }
})

/** The services of Node. */
export const services = NodeServices.layer

/** Gives a temporary folder and the services of Node. */
export const inFolder = <A, E, R>(use: (folder: string) => Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    return yield* use(yield* fs.makeTempDirectoryScoped({ prefix: "llmperf-" }))
  }).pipe(Effect.scoped, Effect.provide(services))

/** For runs that have no business with files: nothing can be written. */
export const withoutFiles = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.provide(effect, Layer.merge(FileSystem.layerNoop({}), Path.layer))

export type Row = { readonly [key: string]: unknown }

const isRow = (value: unknown): value is Row => typeof value === "object" && value !== null && !Array.isArray(value)

const asRow = (value: unknown): Row => {
  if (!isRow(value)) throw new Error(`not an object: ${JSON.stringify(value)}`)
  return value
}

export const readText = Effect.fnUntraced(function* (...parts: ReadonlyArray<string>) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  return yield* fs.readFileString(path.join(...parts))
})

/** The rows of a file of records; every line must be whole. */
export const readRecords = (...parts: ReadonlyArray<string>) =>
  Effect.map(readText(...parts), (text): ReadonlyArray<Row> => {
    if (text !== "" && !text.endsWith("\n")) throw new Error("the last line is not whole")
    return text
      .split("\n")
      .slice(0, -1)
      .map((line) => asRow(JSON.parse(line)))
  })

export const readRows = (...parts: ReadonlyArray<string>) =>
  Effect.map(readText(...parts), (text): ReadonlyArray<Row> => {
    const rows: unknown = JSON.parse(text)
    if (!Array.isArray(rows)) throw new Error("not a list")
    return rows.map(asRow)
  })

export const readSummary = (...parts: ReadonlyArray<string>) =>
  Effect.map(readText(...parts), (text) => asRow(JSON.parse(text)))

export const files = Effect.fnUntraced(function* (folder: string) {
  const fs = yield* FileSystem.FileSystem
  return (yield* fs.readDirectory(folder)).toSorted()
})

export const column = (rows: ReadonlyArray<Row>, key: string): ReadonlyArray<unknown> => rows.map((row) => row[key])

/** The numbers of a column that are known. */
export const numbers = (rows: ReadonlyArray<Row>, key: string): ReadonlyArray<number> =>
  rows.flatMap((row) => {
    const value = row[key]
    return typeof value === "number" ? [value] : []
  })

export const byId = (rows: ReadonlyArray<Row>): ReadonlyArray<Row> =>
  rows.toSorted((a, b) => Number(a["request_id"]) - Number(b["request_id"]))
