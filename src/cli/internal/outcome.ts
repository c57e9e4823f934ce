import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as DurationText from "../../domain/DurationText.ts"
import { type ErrorGroup, type Summary } from "../../domain/Summary.ts"
import type * as AbortOnErrors from "../../engine/AbortOnErrors.ts"
import { type AgentResult, type LostAgent, type RunResult } from "../../engine/RunResult.ts"
import * as CacheText from "../../output/CacheText.ts"
import * as Report from "../../output/Console.ts"
import * as Output from "../../output/Output.ts"
import * as ResultFiles from "../../output/ResultFiles.ts"
import * as Screen from "../../output/Screen.ts"
import * as ThresholdReport from "../../output/ThresholdReport.ts"
import { type LiveStats } from "../../metrics/LiveStats.ts"
import type * as Threshold from "../../metrics/Threshold.ts"
import { Provider } from "../../provider/Provider.ts"
import { PromptError } from "../../workload/Prompt.ts"
import { TokenizerError } from "../../workload/Tokenizer.ts"
import { CommandError, usage } from "../CommandError.ts"
import { Ended, ExitCode } from "../ExitCode.ts"
import { quoted } from "./calibrationWords.ts"
import { type Load, type OpenLoad } from "./load.ts"
import { endBy } from "./thresholdFlags.ts"

/** Metadata that would take the place of results is refused before anything is sent. */
export const checkMetadata = (metadata: ResultFiles.Fields, load: Load) => {
  const prefix = load._tag === "Open" && load.origin._tag === "File" ? "" : "results_"
  return refuse(ResultFiles.reservedMetadata(metadata, prefix))
}

/** Names of results that `--metadata` would set. */
export const refuse = (reserved: ReadonlyArray<string>) =>
  reserved.length === 0
    ? Effect.void
    : Effect.fail(usage(`--metadata may not set ${reserved.join(", ")}: those are names of results`))

const openTitle = ({ schedule, shape }: OpenLoad): string => {
  const seconds = schedule.offsetSeconds[schedule.length - 1] ?? 0
  return `${schedule.length} requests over ${seconds.toFixed(0)} s, ${shape}`
}

const titleOf = (kind: string, load: Load, workers: number, agents: number): string => {
  const { llmApi, model, runId, seed } = load.config
  const what = load._tag === "Closed" ? `${load.config.numConcurrentRequests} in flight` : openTitle(load)
  const sentBy = agents > 0 ? `, ${agents} agents` : workers === 1 ? "" : `, ${workers} workers`
  return `${kind} of ${model} (${llmApi}), ${what}${sentBy}, run ${runId}, seed ${seed}`
}

/** A limit of time as the user sets it. */
interface Limit {
  readonly flag: string
  readonly seconds: number | null
}

const kindOf = ({ code, reason }: ErrorGroup): string => Report.errorKindInside(reason, code)

/** What most requests failed with. */
const mostOf = ({ errors }: Summary): string => {
  const [most, ...others] = errors.filter(({ reason }) => reason !== "Cancelled")
  return most === undefined ? "" : ` (${others.length === 0 ? "" : "mostly "}${kindOf(most)})`
}

const percent = (share: number): string => `${Number((share * 100).toPrecision(3))}%`

/** Which limit of failed requests was reached. */
const errorLimitText = ({ ended, failed, policy, same }: AbortOnErrors.Reached, summary: Summary): string => {
  switch (policy._tag) {
    case "Permanent": {
      const kind = same === null ? "" : ` with ${same.reason === "Connect" ? "connection refused" : kindOf(same)}`
      return `Stopped after ${failed} requests in a row failed${kind} and none succeeded (--abort-on-errors, by default ${policy.count} in a row)`
    }
    case "InARow":
      return `Stopped after ${failed} requests in a row failed${mostOf(summary)} (--abort-on-errors ${policy.count})`
    case "Share":
      return `Stopped after ${failed} of ${ended} requests failed${mostOf(summary)} (--abort-on-errors ${percent(policy.share)})`
  }
}

const stoppedText = ({ errorLimit, notSent, stopped, summary }: RunResult, { flag, seconds }: Limit): string | null => {
  switch (stopped) {
    case null:
      return null
    case "timeout":
      return `Test timed out before all requests could be completed: ${notSent} were not sent (${flag} ${seconds === null ? "none" : DurationText.fromSeconds(seconds)}).`
    case "interrupted":
      return `Interrupted: ${notSent} requests were not sent.`
    case "errors":
      return errorLimit === null
        ? null
        : `${errorLimitText(errorLimit, summary)}; ${notSent} were not sent. --abort-on-errors off sends them all.`
    case "full":
      return `Aborted: a request was due while as many were in flight as may be (--max-in-flight, --when-full abort); ${notSent} requests were not sent.`
  }
}

/** So many ids are named; the summary has all. */
const MOST_NAMED = 20

const idsText = (ids: ReadonlyArray<number>): string => {
  const named = ids.slice(0, MOST_NAMED).join(", ")
  return ids.length > MOST_NAMED ? `${named} and ${ids.length - MOST_NAMED} others` : named
}

const lostText = ({ name, problem, requestIds }: LostAgent): string => {
  if (requestIds.length === 0) return `${name} was lost (${problem}); it held no requests.`
  const held =
    requestIds.length === 1 ? "1 request it held is lost: id" : `${requestIds.length} requests it held are lost: ids`
  return `${name} was lost (${problem}): ${held} ${idsText(requestIds)}.`
}

const missingText = ({ missingRows, name }: AgentResult): string =>
  `${name} did not hand over the rows of ${missingRows.length} requests that are in the summary (ids ${idsText(missingRows)}): ` +
  `they are missing from the files here, and still in the --data-dir of that agent if it is there.`

const lineOf = (agent: AgentResult): Report.AgentLine => ({
  name: agent.name,
  requests: agent.requests,
  lagP99: agent.lag.quantiles.p99,
  startedAfter: agent.startedSeconds,
  roundTrip: agent.roundTripSeconds,
  verdict: agent.verdict?.grade ?? null,
  isLost: agent.lost !== null
})

/** What is to be said of a run besides its numbers. */
export const remarks = (result: RunResult, limit: Limit): ReadonlyArray<string> => {
  const stopped = stoppedText(result, limit)
  return [
    ...(stopped === null ? [] : [stopped]),
    ...(result.sharedPrompts === "sampling-params"
      ? ["All requests sent the same text: --additional-sampling-params replaced their prompts."]
      : []),
    ...result.lost.map(lostText),
    ...(result.stopped === null && result.notSent > 0 && result.lost.length > 0
      ? [`${result.notSent} requests were not sent: no agent was left.`]
      : []),
    ...result.agents.filter(({ missingRows }) => missingRows.length > 0).map(missingText),
    ...(result.uncounted === null ? [] : [`Some answers could not be counted: ${result.uncounted.message}`])
  ]
}

/** Failures that are wrong use before anything is sent, and something else in the middle of a run. */
export const whileRunning =
  (live: LiveStats) =>
  <A, E, R>(run: Effect.Effect<A, E | PromptError | TokenizerError, R>) =>
    Effect.catchIf(
      run,
      (error): error is E & (PromptError | TokenizerError) =>
        live.started > 0 && (error instanceof PromptError || error instanceof TokenizerError),
      ({ message }) =>
        Effect.fail(
          new CommandError({
            description: `The run could not go on: ${message}. With --results-dir, what had ended is saved; llmperf recover makes its summary.`,
            exitCode: ExitCode.failed
          })
        )
    )

/** What is to be said of the server's cache. */
export const cacheOf = ({ document }: Pick<RunResult, "document">): CacheText.CacheRemark | null =>
  CacheText.ofSummary(Object.fromEntries(document))
/** What the advice on failures may name. */
export const asked: Effect.Effect<Report.Asked, never, Provider> = Effect.map(Provider, ({ unsetKey, url }) => ({
  url: url ?? null,
  unsetKey: unsetKey ?? null
}))

/**
 * Says how to get the results of a run that is stopped at once, when the second Ctrl-C comes: `output` is to be one of the run, and
 * `told` goes around it.
 */
export const recoverable = () => {
  let folder: string | null = null
  const output: Output.Output = {
    name: "recovery",
    open: (run) => {
      folder = run.directory
      return Output.make("recovery", {}).open(run)
    }
  }
  const told = <A, E, R>(run: Effect.Effect<A, E, R>) =>
    Effect.onInterrupt(run, () =>
      folder === null
        ? Effect.void
        : Console.error(`Stopped at once. For the results of what had ended: llmperf recover ${quoted([folder])}`)
    )
  return { output, told }
}

interface Shown {
  readonly json: boolean
  readonly quiet: boolean
}

/**
 * Prints the summary as data, if it is asked for, and the table. With `--json`, standard output belongs to the data. With `--quiet`
 * there is no table: one line when every request failed, and one for each of `gates`, the conditions that make the run fail.
 */
export const show = Effect.fnUntraced(function* (
  { json, quiet }: Shown,
  { document, summary }: Pick<RunResult, "document" | "summary">,
  render: (screen: Screen.Screen) => string,
  gates: ReadonlyArray<string> = []
) {
  if (json) yield* Console.log(ResultFiles.stringify(document).trimEnd())
  if (quiet) {
    const failed = Report.allFailed(summary)
    const lines = failed === null ? gates : [failed, ...gates]
    return yield* Effect.forEach(lines, (line) => Console.error(line), { discard: true })
  }
  const text = render(yield* Screen.detect(json ? "stderr" : "stdout")).trimEnd()
  yield* json ? Console.error(text) : Console.log(text)
})

/** What `--strict` fails. */
const isRefused = ({ verdict }: Pick<RunResult, "verdict">, strict: boolean): boolean =>
  strict && verdict.grade === "INVALID"

/** A line for each condition that makes the run fail. */
export const gates = (
  result: Pick<RunResult, "verdict">,
  checked: ReadonlyArray<Threshold.Checked>,
  { allowUnknown, strict }: { readonly allowUnknown: boolean; readonly strict: boolean }
): ReadonlyArray<string> => [
  ...ThresholdReport.failures(checked, { allowUnknown }),
  ...(isRefused(result, strict) ? [`The run is INVALID, and --strict is given: ${whyOf(result)}.`] : [])
]

const whyOf = ({ verdict }: Pick<RunResult, "verdict">): string =>
  verdict.reasons.find(({ grade }) => grade === "INVALID")?.sentence ?? "see its verdict"

/**
 * Ends with the exit code of a run that was interrupted, stopped early, lost an agent or its rows, of which every request failed, or whose numbers
 * are not to be trusted, where that is wanted.
 */
export const end = Effect.fnUntraced(function* (result: RunResult, strict: boolean) {
  const { agents, lost, stopped, summary } = result
  if (stopped === "interrupted") return yield* new Ended({ exitCode: ExitCode.interrupted })
  const { num_completed_requests: completed, num_requests_started: started } = summary
  const isPartial =
    stopped === "full" ||
    stopped === "errors" ||
    lost.length > 0 ||
    agents.some(({ missingRows }) => missingRows.length > 0)
  if (isPartial || isRefused(result, strict) || (completed === 0 && started > 0))
    return yield* new Ended({ exitCode: ExitCode.failed })
})

interface More {
  readonly workers?: number
  readonly strict?: boolean
  readonly calibration?: Report.Report["calibration"]
  readonly thresholds?: ReadonlyArray<Threshold.Checked>
  readonly allowUnknown?: boolean
  readonly asked?: Report.Asked
}

/** Shows the result, and ends with the exit code that fits. */
export const conclude = Effect.fnUntraced(function* (
  input: Shown,
  kind: "Load test" | "Simulation",
  load: Load,
  result: RunResult,
  more: More = {}
) {
  const flag = load._tag === "Open" ? load.timeoutFlag : "--timeout"
  const shown = {
    title: titleOf(kind, load, more.workers ?? 1, result.agents.length),
    summary: result.summary,
    remarks: remarks(result, { flag, seconds: load.config.timeoutSeconds }),
    agents: result.agents.map(lineOf),
    verdict: result.verdict,
    cache: cacheOf(result),
    // Beside no numbers it says nothing
    calibration: result.summary.num_completed_requests === 0 ? undefined : more.calibration,
    asked: more.asked,
    files: result.files
  }
  const { allowUnknown = false, strict = false, thresholds = [] } = more
  yield* show(
    input,
    result,
    (screen) => {
      const judged = ThresholdReport.render(thresholds, { ...screen, allowUnknown })
      return `${Report.render(shown, screen)}${judged === "" ? "" : `\n${judged}`}`
    },
    gates(result, thresholds, { allowUnknown, strict })
  )
  yield* end(result, strict)
  yield* endBy(thresholds, { allowUnknown })
})
