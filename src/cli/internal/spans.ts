import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { type Command } from "effect/cli"
import packageJson from "../../../package.json" with { type: "json" }
import { type RunConfig } from "../../domain/RunConfig.ts"
import { type RunHooks } from "../../engine/RunHooks.ts"
import { type RequestTap } from "../../engine/RequestTap.ts"
import * as OtlpCollector from "../../output/OtlpCollector.ts"
import * as OtlpSpans from "../../output/OtlpSpans.ts"
import { Provider } from "../../provider/Provider.ts"
import { usage } from "../CommandError.ts"
import { type loadTest } from "../flags.ts"
import * as Providers from "./providers.ts"

type Input = Command.Command.Config.Infer<typeof loadTest>

/** Where spans go, `null` when none are wanted. */
export const collectorOf = ({ otlp }: Pick<Input, "otlp">) =>
  Option.isNone(otlp)
    ? Effect.succeed(null)
    : Effect.mapError(OtlpCollector.fromConfig(otlp.value, "traces"), ({ message }) => usage(message))

/** Sends the spans of one who sends requests; `agent` is its name among several. They go with the scope. */
export const make = (
  input: Input,
  options: {
    readonly collector: OtlpCollector.OtlpCollector
    readonly config: Pick<RunConfig, "runId" | "llmApi" | "model" | "additionalSamplingParams">
    readonly origin: string | null
    readonly agent: string | null
  }
) => {
  const { agent, collector, config, origin } = options
  const { additionalSamplingParams: samplingParams, llmApi, model, runId } = config
  return OtlpSpans.make({
    collector,
    runId,
    agent,
    version: packageJson.version,
    origin,
    llmApi,
    model,
    endpoint: Providers.endpointOf(input),
    samplingParams,
    streams: !(llmApi === "vertexai" && Option.contains(input.vertexRoute, "predict"))
  })
}

/**
 * - `add`: takes a request that this thread has sent
 * - `beforeSummary`: ends them; see `RunHooks`
 * - `remark()`: what the user should know of them then
 */
export interface SpansOfRun {
  readonly add: OtlpSpans.OtlpSpans["add"]
  readonly beforeSummary: NonNullable<RunHooks["beforeSummary"]>
  readonly remark: () => string | null
}

/** The spans of a run, and what became of them, those of agents included. */
export const start = Effect.fnUntraced(function* (
  input: Input,
  collector: OtlpCollector.OtlpCollector,
  config: Parameters<typeof make>[1]["config"]
) {
  const { origin } = yield* Provider
  const spans = yield* make(input, { collector, config, origin, agent: null })
  let report: OtlpSpans.Report | null = null
  const ofRun: SpansOfRun = {
    add: spans.add,
    beforeSummary: ({ agents, ...run }) =>
      Effect.map(spans.finish(run), (own) => {
        report = agents === null ? own : OtlpSpans.merge([own, agents])
        return OtlpSpans.fields(collector, report)
      }),
    remark: () => (report === null ? null : OtlpSpans.remark(collector, report))
  }
  return ofRun
})

/** What tells `spans` of requests, and ends them with those of its sender. */
export const tapOf = (spans: OtlpSpans.OtlpSpans): (typeof RequestTap)["Service"] => ({
  add: spans.add,
  finish: spans.finish(null)
})
