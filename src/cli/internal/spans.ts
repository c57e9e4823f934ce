import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { type Command } from "effect/cli"
import packageJson from "../../../package.json" with { type: "json" }
import { type RunConfig } from "../../domain/RunConfig.ts"
import { type RequestTap } from "../../engine/RequestTap.ts"
import { type Ended } from "../../metrics/Ended.ts"
import * as Output from "../../output/Output.ts"
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

/** `remark()`: what the user should know of the spans when the run is over. */
export interface SpansOfRun {
  readonly output: Output.Output
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
  const add = (ended: Ended): void => {
    if (ended._tag === "Here") for (const { record } of ended.requests) spans.add(record)
  }
  const output = Output.make("spans", {
    add,
    fields: ({ agentSpans, start, summary, wallSeconds }) =>
      Effect.map(spans.finish({ startEpochSeconds: start.epochSeconds, wallSeconds, summary }), (own) => {
        report = agentSpans === null ? own : OtlpSpans.merge([own, agentSpans])
        return OtlpSpans.fields(collector, report)
      })
  })
  const ofRun: SpansOfRun = {
    output,
    remark: () => (report === null ? null : OtlpSpans.remark(collector, report))
  }
  return ofRun
})

/** What tells `spans` of requests, and ends them with those of its sender. */
export const tapOf = (spans: OtlpSpans.OtlpSpans): (typeof RequestTap)["Service"] => ({
  add: spans.add,
  finish: spans.finish(null)
})
