import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { type Command } from "effect/cli"
import { type RequestPlan } from "../../domain/RequestPlan.ts"
import { type Summary } from "../../domain/Summary.ts"
import type * as Fleet from "../../engine/Fleet.ts"
import * as FleetSender from "../../engine/FleetSender.ts"
import * as LoadTest from "../../engine/LoadTest.ts"
import * as Pacer from "../../engine/Pacer.ts"
import * as Replay from "../../engine/Replay.ts"
import * as LiveStats from "../../metrics/LiveStats.ts"
import * as Threshold from "../../metrics/Threshold.ts"
import * as CalibrationFields from "../../output/CalibrationFields.ts"
import * as Output from "../../output/Output.ts"
import type * as ResultFiles from "../../output/ResultFiles.ts"
import * as ThresholdReport from "../../output/ThresholdReport.ts"
import { Provider } from "../../provider/Provider.ts"
import * as PlanMaker from "../../workload/PlanMaker.ts"
import * as PromptMaker from "../../workload/PromptMaker.ts"
import * as TokenCounter from "../../workload/TokenCounter.ts"
import * as Tokenizer from "../../workload/Tokenizer.ts"
import * as Workload from "../../workload/Workload.ts"
import { Arguments, Variables } from "../Arguments.ts"
import { CommandError, usage } from "../CommandError.ts"
import { ExitCode } from "../ExitCode.ts"
import { type loadTest } from "../flags.ts"
import * as CalibrationRun from "../internal/calibrationRun.ts"
import { loadFlags, quoted } from "../internal/calibrationWords.ts"
import { settleHeap } from "../internal/heap.ts"
import {
  type ClosedLoad,
  connectionsOf,
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
import * as LiveMetrics from "../internal/liveMetrics.ts"
import { newRunId } from "../internal/newRunId.ts"
import { asked, checkMetadata, conclude, recoverable, whileRunning } from "../internal/outcome.ts"
import type * as Network from "../internal/network.ts"
import { type OtlpCollector } from "../../output/OtlpCollector.ts"
import * as Providers from "../internal/providers.ts"
import { seedOf } from "../internal/seed.ts"
import * as Senders from "../internal/senders.ts"
import * as Spans from "../internal/spans.ts"
import * as Surroundings from "../internal/surroundings.ts"
import { replacedPrompt } from "../internal/replacedPrompt.ts"
import { writeReport } from "../internal/reportBeside.ts"
import { thresholdsOf } from "../internal/thresholdFlags.ts"
import { userStop } from "../internal/userStop.ts"
import { limitsOf } from "../internal/verdictFlags.ts"

type Input = Command.Command.Config.Infer<typeof loadTest>

/** Lengths for real warm-up requests. */
const warmUpLengths = (load: Load) => {
  if (load._tag === "Closed") return load.config
  const { origin, schedule } = load
  if (origin._tag === "Arrivals") return origin
  return {
    meanInputTokens: schedule.inputTokens[0] ?? 0,
    stddevInputTokens: 0,
    meanOutputTokens: schedule.outputTokens[0] ?? 0,
    stddevOutputTokens: 0
  }
}

/** Prompts for real warm-up requests: of the same lengths, but none that the test itself will send. */
const warmUpPlans = Effect.fnUntraced(function* (load: Load) {
  const { promptMode, samePrompts, seed, warmupRequests } = load.config
  if (warmupRequests === 0) return []
  const workload = yield* Workload.make({
    ...warmUpLengths(load),
    promptMode,
    samePrompts,
    seed: seed + 1,
    count: warmupRequests
  })
  return Surroundings.forWarmUp(workload.plans)
})

/** What an open loop needs besides: prompts made on a thread of their own, and exact waits of the thread that sends. */
const openLayer = ({ config, schedule }: OpenLoad, tokenizer: string | undefined, isHere: boolean) =>
  Layer.merge(
    PromptMaker.layerWorker({
      seed: config.seed,
      promptMode: config.promptMode,
      samePrompts: config.samePrompts,
      blockTokens: schedule.prefix?.blockTokens ?? null,
      tokenizer
    }),
    isHere ? Pacer.layerThread : Layer.empty
  )

/** So many tokens of prompts are made sooner than a thread for it is started. */
const FEW_TOKENS = 500_000

/** What a closed loop needs besides: prompts made ahead, on a thread of their own if they take long. */
const closedLayer = ({ config }: ClosedLoad, tokenizer: string | undefined) => {
  const options = LoadTest.planOptions(config)
  return options.count * options.meanInputTokens <= FEW_TOKENS
    ? PlanMaker.layerInline(options)
    : PlanMaker.layerWorker({ ...options, tokenizer })
}

/** Text is counted beside the thread that sends; others see to it themselves. */
const counterLayer = (tokenizer: string | undefined, isHere: boolean) =>
  isHere ? TokenCounter.layerWorker({ tokenizer }) : TokenCounter.layerInline

/** The agents and what they share, `undefined` when this thread sends. */
const sharingOf = Effect.fnUntraced(function* (
  agents: ReadonlyArray<Fleet.Agent> | null,
  load: Load,
  requests: ReadonlyArray<RequestPlan>
) {
  if (agents === null) return undefined
  const { llmApi, warmup } = load.config
  const { origin } = yield* Provider
  const warmsUp = warmup || requests.length > 0
  const sharing: Fleet.Sharing = {
    agents,
    job: {
      args: yield* Arguments,
      variables: yield* Variables,
      origin,
      simulator: llmApi === "simulated" ? origin : null,
      isOpen: load._tag === "Open"
    },
    warmUp: warmsUp ? { client: warmup, connections: connectionsOf(load), requests } : null
  }
  return sharing
})

/** What is known of what the client adds: measured now, if that is wanted, or before. It is of one thread that sends. */
const calibrationOf = Effect.fnUntraced(function* (
  { calibrate, quiet }: Input,
  load: Load,
  senders: Senders.Senders,
  tokenizer: string | undefined
) {
  if (senders._tag === "Agents" && calibrate) {
    const command = ["llmperf calibrate", quoted(loadFlags(yield* Arguments))].join(" ").trimEnd()
    return yield* usage(`--calibrate measures this machine, and others send. Run on each of them: ${command}`)
  }
  if (senders._tag !== "Here") {
    return calibrate ? yield* usage("--calibrate measures one thread that sends: it goes with --workers 1") : null
  }
  const say = (remark: string | null) => (remark === null || quiet ? Effect.void : Console.error(remark))
  if (calibrate) {
    yield* say("Calibrating: the same load against a server that does nothing")
    const measured = Effect.provide(CalibrationRun.before(load, tokenizer), counterLayer(tokenizer, true))
    yield* say((yield* measured).remark)
  }
  const { calibrations, remark } = yield* CalibrationRun.known
  yield* say(remark)
  const kind = load._tag === "Open" ? "open" : "closed"
  const flags = quoted(loadFlags(yield* Arguments))
  return (summary: Summary) => CalibrationFields.describe(calibrations.loads, kind, summary, flags)
})

/** Those outside who are told of the run while it goes. */
interface Told {
  readonly liveRun: LiveMetrics.LiveRun | null
  readonly collector: OtlpCollector | null
}

const runLoad = Effect.fnUntraced(function* (
  input: Input,
  load: Load,
  senders: Senders.Senders,
  network: Network.Network,
  { collector, liveRun }: Told,
  userStop: Effect.Effect<void>,
  ofRun: (run: Output.RunEnd) => ResultFiles.Fields
) {
  const { quiet } = input
  if (!quiet) yield* sayExpected(load)
  const tokenizer = Surroundings.tokenizerOf(input)
  const requests = yield* warmUpPlans(load)
  const agents = yield* Senders.start(senders, load, quiet)
  const isHere = agents === null
  const watched = yield* Surroundings.hooks({
    config: load.config,
    total: plannedOf(load),
    places: placesOf(load),
    schedule: scheduleOf(load),
    timeoutSeconds: load.config.timeoutSeconds,
    connections: connectionsOf(load),
    requests,
    network,
    limits: limitsOf(input.verdictLimit),
    abortOnErrors: input.abortOnErrors,
    quiet,
    liveRun,
    senders: { count: agents?.length ?? 1, name: senders._tag === "Agents" ? "agents" : "workers" }
  })
  const replaced = replacedPrompt(input, load.config.additionalSamplingParams)
  const hooks = { ...watched, userStop, chunkTimes: input.chunkTimes, replaced }
  const fleet = yield* sharingOf(agents, load, requests)
  const sender = fleet === undefined ? undefined : FleetSender.make(fleet)
  const spans = collector === null ? null : yield* Spans.start(input, collector, load.config)
  const recovery = recoverable()
  const outputs = [
    recovery.output,
    ...(liveRun === null ? [] : [liveRun.output]),
    Output.make("calibration and thresholds", { fields: (run) => Effect.sync(() => ofRun(run)) }),
    ...(spans === null ? [] : [spans.output])
  ]
  const run =
    load._tag === "Closed"
      ? Effect.flatMap(PlanMaker.PlanMaker, (planMaker) =>
          LoadTest.run({ ...hooks, outputs, config: load.config, planMaker, sender })
        ).pipe(Effect.provide(closedLayer(load, tokenizer)))
      : Replay.run({
          ...hooks,
          outputs,
          config: load.config,
          schedule: load.schedule,
          origin: load.origin,
          sender
        }).pipe(Effect.provide(openLayer(load, tokenizer, isHere)))
  const result = yield* whileRunning(hooks.live)(run).pipe(
    recovery.told,
    Effect.provide(counterLayer(tokenizer, isHere))
  )
  const clock = yield* Clock.Clock
  const snapshot = LiveStats.snapshot(hooks.live, Number(clock.monotonicTimeNanosUnsafe()))
  const untold = liveRun === null ? null : yield* liveRun.finish(snapshot, result.verdict.grade)
  return { ...result, untold: [spans?.remark() ?? null, untold].filter((remark) => remark !== null) }
}, Effect.scoped)

const workersIn = (senders: Senders.Senders): number | null =>
  senders._tag === "Agents" ? null : senders._tag === "Workers" ? senders.workers : 1

/** Runs the test, shows it, and ends with the exit code that fits. */
export const handle = Effect.fn("loadTest")(
  function* (input: Input) {
    yield* settleHeap
    const runId = Option.isSome(input.runId) ? input.runId.value : yield* newRunId
    const seed = yield* seedOf(input)
    const config = {
      ...Surroundings.configOf(input, { runId, seed }),
      promptMode: input.promptMode,
      countTokens: countTokensOf(input)
    }
    const thresholds = yield* thresholdsOf(input)
    const collector = yield* Spans.collectorOf(input)
    if (input.report && config.resultsDir === null)
      return yield* usage("--report lies with the results: give --results-dir")
    if (input.chunkTimes && config.resultsDir === null)
      return yield* usage("--chunk-times are saved with the results: give --results-dir")
    const network = yield* Surroundings.networkOf(input)
    const tokenizer = Surroundings.tokenizerOf(input)
    const { whileSending: stop } = yield* userStop(config.graceSeconds, input.quiet)
    const layer = Layer.merge(
      Tokenizer.layer(tokenizer),
      Surroundings.asking({
        provider: Providers.layer(input, { ...config, tokenizer: input.tokenizer }),
        network,
        idleSeconds: input.idleTimeout
      })
    )
    const { calibration, load, result, senders, target } = yield* Effect.gen(function* () {
      const load = yield* resolve(input, config)
      yield* checkMetadata(config.metadata, load)
      yield* warnOfEnd(input, load)
      const senders = yield* Senders.sendersOf(input, load)
      const liveRun = yield* LiveMetrics.start(
        { ...input, endpoint: Providers.endpointOf(input) },
        load,
        workersIn(senders)
      )
      const calibration = yield* calibrationOf(input, load, senders, tokenizer)
      const told = { liveRun, collector }
      const ofRun = (run: Output.RunEnd) => ({
        ...(calibration === null ? CalibrationFields.fields(null) : calibration(run.summary).fields),
        ...(thresholds.length === 0 ? {} : { thresholds: ThresholdReport.document(Threshold.check(thresholds, run)) })
      })
      const result = yield* runLoad(input, load, senders, network, told, stop, ofRun)
      return { calibration: calibration?.(result.summary).said, load, senders, result, target: yield* asked }
    }).pipe(Effect.provide(layer))
    if (!input.quiet) yield* Effect.forEach(result.untold, (remark) => Console.error(remark), { discard: true })
    const report = input.report ? yield* writeReport(result) : []
    yield* conclude(
      input,
      "Load test",
      load,
      { ...result, files: [...result.files, ...report] },
      {
        workers: senders._tag === "Workers" ? senders.workers : 1,
        strict: input.strict,
        allowUnknown: input.allowUnknown,
        calibration,
        asked: target,
        thresholds: Threshold.check(thresholds, result)
      }
    )
  },
  // The end of the run is served as long as there is somebody to read the results
  Effect.scoped,
  Effect.catchTags({
    AgentFailed: (error) => Effect.fail(usage(error.message)),
    LlmError: (error) => Effect.fail(usage(error.message)),
    PromptError: (error) => Effect.fail(usage(error.message)),
    TokenizerError: (error) => Effect.fail(usage(error.message)),
    ConfigError: (error) => Effect.fail(usage(error.message)),
    SimulatorError: (error) => Effect.fail(usage(error.message)),
    RecordsError: (error) => Effect.fail(new CommandError({ description: error.message, exitCode: ExitCode.output }))
  })
)
