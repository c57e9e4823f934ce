import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { type Command } from "effect/cli"
import packageJson from "../../../package.json" with { type: "json" }
import { type LiveSnapshot } from "../../metrics/LiveStats.ts"
import { RunMetrics } from "../../metrics/RunMetrics.ts"
import { type Grade } from "../../metrics/Verdict.ts"
import * as LiveMetrics from "../../output/LiveMetrics.ts"
import { type Output } from "../../output/Output.ts"
import * as OtlpCollector from "../../output/OtlpCollector.ts"
import { Provider } from "../../provider/Provider.ts"
import { usage } from "../CommandError.ts"
import { type liveMetricsFlags, LOCAL_HOST } from "./liveMetricsFlags.ts"
import { type Load, plannedOf } from "./load.ts"

interface Input extends Command.Command.Config.Infer<typeof liveMetricsFlags> {
  readonly endpoint: string
  readonly quiet: boolean
}

/**
 * - `output`: takes what has ended
 * - `feed`: tells how things are, until it is interrupted
 * - `finish`: tells how they are in the end; gives what the user should know of it
 */
export interface LiveRun {
  readonly output: Output
  readonly feed: (snapshot: (nowNanos: number) => LiveSnapshot, grade: () => Grade | null) => Effect.Effect<never>
  readonly finish: (snapshot: LiveSnapshot, grade: Grade | null) => Effect.Effect<string | null>
}

/**
 * Starts to tell what is asked for, `null` when nothing is. What is in the way is wrong use. `workers`: how many threads send, `null`
 * when agents do.
 */
export const start = Effect.fnUntraced(
  function* (input: Input, load: Load, workers: number | null) {
    const { endpoint, otlp, prometheusHost, prometheusPort, quiet } = input
    if (Option.isSome(prometheusHost) && Option.isNone(prometheusPort)) {
      return yield* usage("--prometheus-host says where --prometheus-port listens: give that too")
    }
    if (Option.isNone(prometheusPort) && Option.isNone(otlp)) return null
    const { llmApi, model, runId } = load.config
    const { origin } = yield* Provider
    const options: LiveMetrics.Options = {
      runId,
      model,
      version: packageJson.version,
      llmApi,
      endpoint,
      origin,
      planned: plannedOf(load),
      info: {
        loop: load._tag === "Open" ? "open" : "closed",
        ...(workers === null ? {} : { workers: String(workers) }),
        ...(load._tag === "Closed" ? { num_concurrent_requests: String(load.config.numConcurrentRequests) } : {})
      },
      server: Option.match(prometheusPort, {
        onNone: () => null,
        onSome: (port) => ({ host: Option.getOrElse(prometheusHost, () => LOCAL_HOST), port })
      }),
      collector: Option.isSome(otlp) ? yield* OtlpCollector.fromConfig(otlp.value, "metrics") : null
    }
    const telling = yield* LiveMetrics.start(options)
    if (telling.url !== null && !quiet) yield* Console.error(`Metrics of this run: ${telling.url}`)
    const metrics = new RunMetrics()
    const run: LiveRun = {
      output: LiveMetrics.output(metrics),
      feed: (snapshot, grade) =>
        LiveMetrics.feed(telling, (now) => metrics.read({ snapshot: snapshot(now), grade: grade() })),
      finish: (snapshot, grade) =>
        Effect.map(telling.finish(metrics.read({ snapshot, grade, isOver: true })), (report) =>
          LiveMetrics.remark(options, report)
        )
    }
    return run
  },
  Effect.catchTags({
    LiveMetricsError: (error) => Effect.fail(usage(error.message)),
    OtlpSettingError: (error) => Effect.fail(usage(error.message))
  })
)
