import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { type Command } from "effect/cli"
import { type RunConfig } from "../../domain/RunConfig.ts"
import * as LoadTest from "../../engine/LoadTest.ts"
import * as Replay from "../../engine/Replay.ts"
import * as SimulatedProvider from "../../engine/SimulatedProvider.ts"
import * as LiveStats from "../../metrics/LiveStats.ts"
import * as Progress from "../../output/Progress.ts"
import * as ModelServer from "../../simulator/ModelServer.ts"
import * as VirtualClock from "../../simulator/VirtualClock.ts"
import * as PromptMaker from "../../workload/PromptMaker.ts"
import * as TokenCounter from "../../workload/TokenCounter.ts"
import * as Tokenizer from "../../workload/Tokenizer.ts"
import { CommandError, usage } from "../CommandError.ts"
import { ExitCode } from "../ExitCode.ts"
import { type simulate } from "../flags.ts"
import { letHeapGrow } from "../internal/heap.ts"
import {
  countTokensOf,
  type Load,
  type OpenLoad,
  placesOf,
  plannedOf,
  resolve,
  sayExpected,
  scheduleOf,
  warnOfEnd
} from "../internal/load.ts"
import { checkMetadata, conclude, whileRunning } from "../internal/outcome.ts"
import { modelOptions } from "../internal/simulated.ts"
import { userStop } from "../internal/userStop.ts"

type Input = Command.Command.Config.Infer<typeof simulate>

/** Everything follows from the flags, the name of the run too: the same flags give the same files. */
const configOf = (input: Input): RunConfig => ({
  model: input.model,
  llmApi: "simulated",
  graceSeconds: input.grace,
  requestTimeoutSeconds: input.requestTimeout,
  additionalSamplingParams: {},
  metadata: Object.fromEntries(input.metadata.flat()),
  seed: input.seed,
  promptMode: input.promptMode,
  samePrompts: input.samePrompts,
  countTokens: countTokensOf(input),
  warmup: false,
  warmupRequests: 0,
  requestIdHeader: "x-request-id",
  runId: Option.getOrElse(input.runId, () => `simulated-${input.seed}`),
  resultsDir: Option.getOrNull(input.resultsDir)
})

const promptMaker = ({ config, schedule }: OpenLoad, tokenizer: string | undefined) =>
  PromptMaker.layerWorker({
    seed: config.seed,
    promptMode: config.promptMode,
    samePrompts: config.samePrompts,
    blockTokens: schedule.prefix?.blockTokens ?? null,
    tokenizer
  })

const portable = (origin: Replay.Options["origin"]): Replay.Options["origin"] =>
  origin._tag === "File" ? { ...origin, portable: true } : origin

const runLoad = (load: Load, tokenizer: string | undefined, hooks: Pick<Replay.Options, "live" | "userStop">) =>
  load._tag === "Closed"
    ? LoadTest.run({ ...hooks, config: load.config })
    : Effect.provide(
        Replay.run({ ...hooks, config: load.config, schedule: load.schedule, origin: portable(load.origin) }),
        promptMaker(load, tokenizer)
      )

const serverLayer = (input: Input, seed: number) =>
  Layer.provide(
    SimulatedProvider.layerWith({ idleSeconds: input.idleTimeout }),
    ModelServer.layer(modelOptions(input.server, seed))
  )

/** Runs the load in virtual time, the display of its progress in real time. */
const inVirtualTime = Effect.fnUntraced(function* (
  input: Input,
  load: Load,
  tokenizer: string | undefined,
  stop: Effect.Effect<void>
) {
  const virtual = yield* Layer.build(VirtualClock.layer)
  const clock = Context.get(virtual, Clock.Clock)
  const live = LiveStats.make()
  const snapshot = () => LiveStats.snapshot(live, Number(clock.monotonicTimeNanosUnsafe()))
  yield* Effect.forkScoped(
    Progress.run({
      snapshot,
      total: plannedOf(load),
      places: placesOf(load),
      schedule: scheduleOf(load),
      timeoutSeconds: load.config.timeoutSeconds,
      quiet: input.quiet
    })
  )
  return yield* runLoad(load, tokenizer, { live, userStop: stop }).pipe(
    whileRunning(live),
    Effect.provide(serverLayer(input, load.config.seed)),
    Effect.provideContext(virtual)
  )
}, Effect.scoped)

/** Simulates, shows what came of it, and ends with the exit code that fits. */
export const handle = Effect.fn("simulate")(
  function* (input: Input) {
    yield* letHeapGrow
    const config = configOf(input)
    const { whileSending: stop } = yield* userStop(null, input.quiet)
    const tokenizer = input.tokenizer === Tokenizer.llamaName ? undefined : input.tokenizer
    const counting = Layer.provideMerge(TokenCounter.layerInline, Tokenizer.layer(tokenizer))
    const { load, result } = yield* Effect.gen(function* () {
      const load = yield* resolve(input, config)
      yield* checkMetadata(config.metadata, load)
      yield* warnOfEnd(input, load)
      if (!input.quiet) yield* sayExpected(load)
      return { load, result: yield* inVirtualTime(input, load, tokenizer, stop) }
    }).pipe(Effect.provide(counting))
    yield* conclude(input, "Simulation", load, result)
  },
  Effect.scoped,
  Effect.catchTags({
    PromptError: (error) => Effect.fail(usage(error.message)),
    TokenizerError: (error) => Effect.fail(usage(error.message)),
    RecordsError: (error) => Effect.fail(new CommandError({ description: error.message, exitCode: ExitCode.output }))
  })
)
