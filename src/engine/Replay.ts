/**
 * The replay: sends the requests of a schedule when they are due, and folds what comes back into a summary and files.
 *
 * @since 0.2.0
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { type ReplayConfig } from "../domain/RunConfig.ts"
import { type Schedule } from "../domain/Schedule.ts"
import * as AtomicFile from "../output/AtomicFile.ts"
import type * as Ndjson from "../output/Ndjson.ts"
import { fromPlatformError, OutputError } from "../output/OutputError.ts"
import * as ResultFiles from "../output/ResultFiles.ts"
import * as RunDirectory from "../output/RunDirectory.ts"
import { type FolderInUse } from "../output/RunLock.ts"
import { type Provider } from "../provider/Provider.ts"
import * as VirtualClock from "../simulator/VirtualClock.ts"
import { type PromptError } from "../workload/Prompt.ts"
import { type PromptMaker } from "../workload/PromptMaker.ts"
import * as ScheduledWorkload from "../workload/ScheduledWorkload.ts"
import * as ScheduleEdit from "../workload/ScheduleEdit.ts"
import * as ScheduleFile from "../workload/ScheduleFile.ts"
import { type TokenCounter } from "../workload/TokenCounter.ts"
import { type TokenizerError } from "../workload/Tokenizer.ts"
import { sent, sharedPrompts } from "./internal/sentPrompts.ts"
import * as Run from "./Run.ts"
import { type MakeSender } from "./Sender.ts"
import { type RunResult } from "./RunResult.ts"

/**
 * A schedule from a file. The run gets a folder of its own in the results folder (unless `subdir` is `false`), with LLMPerf's
 * names for schedule mode and a copy of the schedule.
 *
 * - `path`: the file, as the user wrote it
 * - `verbatim`: whether the schedule is the file, row for row; it is then copied byte for byte, and else written as it is
 *   replayed
 * - `portable`: whether the files say nothing of the folder they lie in (`results_subdir` is then `null`), so that they are the
 *   same wherever that is
 * - `details`: more for the summary, such as the format of a trace and what was changed
 *
 * @category models
 * @since 0.2.0
 */
export interface FromFile {
  readonly _tag: "File"
  readonly path: string
  readonly verbatim: boolean
  readonly subdir: boolean
  readonly portable: boolean
  readonly details: ResultFiles.Fields
}

/**
 * A schedule that was drawn from an arrival process and distributions of lengths, in tokens. Its files are named as those of a
 * load test.
 *
 * @category models
 * @since 0.2.0
 */
export interface FromArrivals {
  readonly _tag: "Arrivals"
  readonly meanInputTokens: number
  readonly stddevInputTokens: number
  readonly meanOutputTokens: number
  readonly stddevOutputTokens: number
  readonly details: ResultFiles.Fields
}

/**
 * - `schedule`: what to send when, its `id`s all different
 * - `origin`: where it is from
 * - `sender`: who sends: `FleetSender.make` of some agents, or one of your own; without one this thread does
 *
 * @category models
 * @since 0.2.0
 */
export interface Options<E = never> extends Run.Options {
  readonly config: ReplayConfig
  readonly schedule: Schedule
  readonly origin: FromFile | FromArrivals
  readonly sender?: MakeSender<E> | undefined
}

/**
 * Runs the replay. It fails before anything is sent when a prompt cannot be built (`PromptError`) or the results folder
 * cannot be written to (`OutputError`); a request that fails is a row, never a failure of the replay. Interrupting it cancels
 * the requests in flight and still writes the rows of all that ended.
 *
 * @category running
 * @since 0.2.0
 */
export const run = Effect.fn("Replay.run")(function* <E = never>(
  options: Options<E>
): Effect.fn.Return<
  RunResult,
  E | PromptError | TokenizerError | OutputError | FolderInUse | Ndjson.RecordsError,
  Provider | PromptMaker | TokenCounter | FileSystem.FileSystem | Path.Path | Scope.Scope
> {
  const { config, origin, schedule, ...others } = options
  yield* ScheduledWorkload.check(schedule)
  const directory = yield* openDirectory(config, origin)
  if (directory !== null && origin._tag === "File") yield* keepSchedule(directory.schedule, schedule, origin)

  const sampled = sampledRows(schedule, config.maxSampledRequestsPerSecond)
  const workload = yield* ScheduledWorkload.make({ schedule, sampled: sampled?.marks ?? null })
  const measured = sampled?.count ?? schedule.length
  return yield* Run.run<E | PromptError | TokenizerError, never>({
    ...others,
    settings: config,
    directory,
    load: {
      loop: { _tag: "Open", maxInFlight: config.maxInFlight, whenFull: config.whenFull },
      planned: schedule.length,
      plans: yield* sent(standingStill(workload.plans), others.replaced),
      ready: workload.ready
    },
    logsSent: origin._tag === "File",
    description: {
      sharedPrompts: sharedPrompts({ ...config, replaced: others.replaced ?? null, blocks: schedule.prefix !== null }),
      ...named(config, origin, { measured, unmeasured: schedule.length - measured, subdir: directory?.shown ?? null }),
      details: {
        prompt_mode: config.promptMode,
        seed: config.seed,
        ...origin.details,
        timeout_s: config.timeoutSeconds,
        request_timeout_s: config.requestTimeoutSeconds,
        max_in_flight: config.maxInFlight,
        when_full: config.maxInFlight === null ? null : config.whenFull,
        max_sampled_requests_per_second: config.maxSampledRequestsPerSecond
      }
    },
    facts: () => ({
      details: {
        inexact_prompts: workload.counts.inexactPrompts,
        repeated_prompts: workload.counts.repeatedPrompts
      }
    })
  })
})

/** In virtual time prompts take none, though another thread makes them. */
const standingStill = <A, E, R>(plans: Stream.Stream<A, E, R>): Stream.Stream<A, E, R> =>
  Stream.transformPull(plans, (pull) => Effect.succeed(VirtualClock.standingStill(pull)))

const openDirectory = Effect.fnUntraced(function* ({ resultsDir }: ReplayConfig, origin: Options["origin"]) {
  if (resultsDir === null) return null
  if (origin._tag === "Arrivals") return yield* RunDirectory.open(resultsDir)
  const isThere = yield* liesIn(resultsDir, origin)
  if (isThere && !origin.verbatim) {
    return yield* new OutputError({
      path: origin.path,
      problem: "the schedule that is replayed would be overwritten",
      advice: "Choose another folder with --results-dir, or leave out --no-schedule-file-subdir."
    })
  }
  return yield* RunDirectory.openScheduleRun({ resultsDir, subdir: origin.subdir, scheduleStays: isThere })
})

/** Whether the schedule is the very file that a copy of it would be written to. */
const liesIn = Effect.fnUntraced(function* (resultsDir: string, { path: file, subdir }: FromFile) {
  if (subdir) return false
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const real = (name: string) => Effect.orElseSucceed(fs.realPath(name), () => null)
  const source = yield* real(file)
  return source !== null && source === (yield* real(path.join(resultsDir, "schedule.csv")))
})

const keepSchedule = Effect.fnUntraced(function* (target: string, schedule: Schedule, origin: FromFile) {
  const failed = fromPlatformError(target)
  if (!origin.verbatim) {
    return yield* AtomicFile.write(target, Stream.fromIterable(ScheduleFile.toCsv(schedule)), failed)
  }
  // On itself, where it lies there already
  const fs = yield* FileSystem.FileSystem
  return yield* AtomicFile.write(target, Stream.mapError(fs.stream(origin.path), failed), failed)
})

/** A mark for each row that is measured, and how many these are; `null` when all are. */
const sampledRows = (schedule: Schedule, perSecond: number | null) => {
  if (perSecond === null) return null
  const picked = perSecond === 0 ? new Uint32Array(0) : ScheduleEdit.pickPerSecond(schedule, perSecond)
  const marks = new Uint8Array(schedule.length)
  for (const row of picked) marks[row] = 1
  return { marks, count: picked.length }
}

const named = (
  config: ReplayConfig,
  origin: Options["origin"],
  rows: { readonly measured: number; readonly unmeasured: number; readonly subdir: string | null }
) =>
  origin._tag === "File"
    ? {
        files: ResultFiles.scheduleNames,
        resultsPrefix: "",
        parameters: ResultFiles.scheduleParameters({
          model: config.model,
          launched: rows.measured,
          unsampled: rows.unmeasured,
          scheduleFile: origin.path,
          resultsSubdir: origin.portable ? null : rows.subdir,
          additionalSamplingParams: config.additionalSamplingParams
        })
      }
    : {
        files: ResultFiles.names(config.model, origin.meanInputTokens, origin.meanOutputTokens),
        resultsPrefix: "results_",
        parameters: ResultFiles.parameters({
          ...origin,
          model: config.model,
          numConcurrentRequests: null,
          additionalSamplingParams: config.additionalSamplingParams
        })
      }
