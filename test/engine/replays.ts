import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"
import { type RequestPlan } from "../../src/domain/RequestPlan.ts"
import { type ReplayConfig } from "../../src/domain/RunConfig.ts"
import { type Schedule } from "../../src/domain/Schedule.ts"
import * as Replay from "../../src/engine/Replay.ts"
import * as LiveStats from "../../src/metrics/LiveStats.ts"
import { Provider } from "../../src/provider/Provider.ts"
import * as PromptMaker from "../../src/workload/PromptMaker.ts"
import { layerInline } from "../../src/workload/TokenCounter.ts"
import * as Tokenizer from "../../src/workload/Tokenizer.ts"
import * as Runs from "./runs.ts"
import * as Scripted from "./scriptedProvider.ts"

export const config: ReplayConfig = {
  ...Runs.common,
  timeoutSeconds: null,
  maxInFlight: null,
  whenFull: "queue",
  maxSampledRequestsPerSecond: null
}

export interface Row {
  readonly id?: number
  readonly offset: number
  readonly input?: number
  readonly output?: number
}

/** A schedule of rows in the order of their offsets: prompts of 60 tokens, answers of 4, unless it is said. */
export const scheduleOf = (rows: ReadonlyArray<Row>): Schedule => ({
  length: rows.length,
  id: Uint32Array.from(rows, ({ id }, index) => id ?? index + 1),
  offsetSeconds: Float64Array.from(rows, ({ offset }) => offset),
  inputTokens: Uint32Array.from(rows, ({ input }) => input ?? 60),
  outputTokens: Uint32Array.from(rows, ({ output }) => output ?? 4),
  session: null,
  prefix: null
})

/** Of a file that needs not be there, as it is not copied. */
export const fromFile: Replay.FromFile = {
  _tag: "File",
  path: "some/schedule.csv",
  verbatim: false,
  subdir: true,
  portable: false,
  details: {}
}

/** The folder of a run that begins when the test clock does. */
export const folderName = "1970-01-01T00-00-00_schedule_run"

export interface Options {
  readonly schedule: Schedule
  readonly config?: Partial<ReplayConfig>
  readonly origin?: Replay.Options["origin"]
  readonly script?: (plan: RequestPlan) => ReadonlyArray<Scripted.Step>
  readonly run?: Pick<Replay.Options, "warmUp" | "userStop">
  /** Makes the prompts; by default as a replay does. */
  readonly maker?: PromptMaker.PromptMaker["Service"]
  /** When `start` returns; by default once the clock of the run has started. */
  readonly ready?: () => boolean
}

/** Starts a replay against a scripted provider; see `Runs.start`. */
export const start = Effect.fnUntraced(function* ({ schedule, ...options }: Options) {
  const { provider, log } = yield* Scripted.make(options.script ?? Runs.usual)
  const live = LiveStats.make()
  const settings = { ...config, ...options.config }
  const maker =
    options.maker === undefined
      ? PromptMaker.layerInline({
          seed: settings.seed,
          promptMode: settings.promptMode,
          blockTokens: schedule.prefix?.blockTokens ?? null
        })
      : Layer.succeed(PromptMaker.PromptMaker, options.maker)
  const fiber = yield* Replay.run({
    ...options.run,
    config: settings,
    schedule,
    origin: options.origin ?? fromFile,
    live
  }).pipe(
    Effect.scoped,
    Effect.provideService(Provider, provider),
    Effect.provide(Layer.provideMerge(Layer.merge(layerInline, maker), Tokenizer.layerLlama)),
    Effect.forkChild
  )
  yield* Runs.until(options.ready ?? (() => live.startNanos !== null || fiber.pollUnsafe() !== undefined))
  return { fiber, live, log }
})

/** A whole replay, for which ten minutes of the test clock must be enough. */
export const complete = Effect.fnUntraced(function* (options: Options) {
  const { fiber, live, log } = yield* start(options)
  yield* TestClock.adjust("10 minutes")
  return { result: yield* Fiber.join(fiber), live, log }
})

/** Seconds as whole nanoseconds. */
export const nanos = (seconds: unknown): number => Math.round(Number(seconds) * 1e9)
