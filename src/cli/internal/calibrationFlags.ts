import * as Struct from "effect/Struct"
import { Flag } from "effect/cli"
import { loadTest } from "../flags.ts"
import { defaults } from "./calibrationDefaults.ts"
import * as Setting from "./setting.ts"

interface Hide extends Struct.Lambda {
  <A>(flag: Flag.Flag<A>): Flag.Flag<A>
  readonly "~lambda.out": this["~lambda.in"]
}

const hide = Struct.lambda<Hide>(Flag.withHidden)

const model = Setting.withDefault("model", Setting.text("name"), "null", "A name for the model")

/** The flags of a load test, for `--like`. */
export const likeFlags = { ...loadTest, model }

const { sim, ...plain } = Struct.omit(loadTest, ["model", "config", "resultsDir"])

/**
 * The flags of `llmperf calibrate`: those of a load test, of which those are told of that say how heavy it is. The others are
 * accepted, so that the flags of a load test can be given as they are.
 */
export const calibrateFlags = {
  ...Struct.mapOmit(
    plain,
    [
      "meanInputTokens",
      "stddevInputTokens",
      "meanOutputTokens",
      "stddevOutputTokens",
      "numConcurrentRequests",
      "requestRate",
      "arrival",
      "ramp",
      "stages",
      "duration",
      "scheduleFile",
      "speed",
      "json",
      "quiet"
    ],
    hide
  ),
  model: hide(model),
  resultsDir: hide(loadTest.resultsDir),
  sim: Struct.map(sim, hide),
  like: Setting.optional(
    "like",
    Setting.text("flags"),
    "The flags of the load test, as one text, instead of giving them here: --like 'load-test --config run.yaml'"
  ),
  ttft: Setting.withDefault(
    "ttft",
    Setting.duration,
    defaults.pace.ttftSeconds,
    "How long the null server takes for the first token",
    "100ms"
  ),
  itl: Setting.withDefault(
    "itl",
    Setting.duration,
    defaults.pace.itlSeconds,
    "How long it takes from one token to the next",
    "20ms"
  ),
  seconds: Setting.withDefault(
    "seconds",
    Setting.positiveDuration,
    2 * defaults.seconds,
    "How long to measure, in all; half of it the load",
    "12s"
  ),
  limits: Setting.toggle("limits", true, "Measure also how many requests and tokens a second this machine can do")
}
