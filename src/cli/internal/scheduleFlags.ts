import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { Argument } from "effect/cli"
import * as Arrival from "../../workload/Arrival.ts"
import * as Mapped from "../../workload/trace/Mapped.ts"
import { FIXED_SEED } from "./seed.ts"
import * as Setting from "./setting.ts"

const factor: Setting.Reader<number> = {
  ...Setting.nonNegative("factor"),
  read: (text) => Option.filter(Setting.nonNegative("factor").read(text), (number) => number > 0),
  expected: "a number above 0"
}

/** One in twelve days, and more than a network card sends. */
const ratePerSecond: Setting.Reader<number> = {
  read: (text) => Option.filter(factor.read(text), (rate) => rate >= 1e-6 && rate <= 1e6),
  expected: "a number above 0, from 0.000001 to 1000000",
  metavar: "requests/s"
}

const mapping: Setting.Reader<Mapped.Mapping> = {
  read: (text) => Result.getSuccess(Mapped.parse(text)),
  expected:
    "columns as offset=ts:ms,input=prompt_tokens,output=answer_tokens, with s, ms, us, ns or iso after a colon, and session=… and blocks=…:512 if there are any",
  metavar: "mapping"
}

const passes: Setting.Reader<number | { readonly seconds: number }> = {
  read: (text) =>
    /^\s*\d+\s*$/.test(text)
      ? Setting.positiveInt("times").read(text)
      : Option.map(Setting.positiveDuration.read(text), (seconds) => ({ seconds })),
  expected: "a number of times, or a duration with its unit such as 1h",
  metavar: "times|duration"
}

const profile = (
  parse: (text: string) => Result.Result<Arrival.RateProfile, Arrival.InvalidArrival>,
  expected: string,
  metavar: string
): Setting.Reader<Arrival.RateProfile> => ({ read: (text) => Result.getSuccess(parse(text)), expected, metavar })

/** How a file of requests is read and changed, for every command that takes one. */
export const scheduleEdits = {
  map: Setting.optional("map", mapping, "Which columns or keys hold what, for a file of no known format"),
  from: Setting.optional("from", Setting.duration, "Leave out what is due before this time, which becomes the start"),
  to: Setting.optional("to", Setting.positiveDuration, "Leave out what is due at this time of the file or later"),
  speed: Setting.optional("speed", factor, "Replay speed-up factor"),
  loop: Setting.optional("loop", passes, "Repeat N times, or until this duration has passed"),
  maxRate: Setting.optional(
    "max-rate",
    Setting.positiveInt("requests/s"),
    "Keep at most N requests of each second, evenly spaced"
  ),
  limit: Setting.optional("limit", Setting.positiveInt("requests"), "Keep only the first N requests"),
  scaleInput: Setting.optional("scale-input", factor, "Factor for the length of prompts"),
  scaleOutput: Setting.optional("scale-output", factor, "Factor for the length of answers")
}

/** When requests arrive, for every command that draws them. */
export const arrivals = {
  requestRate: Setting.optional("request-rate", ratePerSecond, "Mean request rate"),
  ramp: Setting.optional(
    "ramp",
    profile(Arrival.parseRamp, "FROM:TO:DURATION with rates per second, such as 1:20:5m", "from:to:duration"),
    "Rate that changes linearly, then stays constant"
  ),
  stages: Setting.optional(
    "stages",
    profile(Arrival.parseStages, "RATE@DURATION,… with rates per second, such as 5@1m,0@10s,20@30s", "rate@duration,…"),
    "Constant rates, one after another"
  ),
  arrival: Setting.noted(
    "arrival",
    Setting.oneOf("constant", "poisson", "gamma", "burst"),
    "poisson",
    "Arrival process"
  ),
  burstiness: Setting.optional(
    "burstiness",
    factor,
    "Shape of gamma arrivals: below 1 burstier than poisson, above 1 smoother"
  ),
  burstSize: Setting.optional(
    "burst-size",
    Setting.positiveInt("requests", 1_000_000),
    "Requests at the same moment with --arrival burst"
  ),
  duration: Setting.optional("duration", Setting.positiveDuration, "How long requests arrive")
}

const output = Setting.optional("output", Setting.text("file"), "Where to write it; standard output without it").pipe(
  Setting.alias("o")
)

const file = Argument.String("file").pipe(
  Argument.withDescription("A schedule or a trace of requests, as CSV or JSON lines, also with gzip")
)

/** The flags of `llmperf schedule inspect`. */
export const inspectFlags = {
  file,
  ...scheduleEdits,
  json: Setting.toggle("json", false, "Print the numbers as JSON")
}

/** The flags of `llmperf schedule convert`. */
export const convertFlags = { file, ...scheduleEdits, output }

/** The flags of `llmperf schedule generate`. */
export const generateFlags = {
  ...arrivals,
  limit: Setting.optional(
    "limit",
    Setting.positiveInt("requests"),
    "How many requests (or conversations) arrive at most"
  ),
  meanInputTokens: Setting.withDefault("mean-input-tokens", Setting.tokens, 550, "Mean length of a prompt"),
  stddevInputTokens: Setting.withDefault(
    "stddev-input-tokens",
    Setting.tokenSpread,
    150,
    "Standard deviation of the length of a prompt"
  ),
  meanOutputTokens: Setting.withDefault("mean-output-tokens", Setting.tokens, 150, "Mean length of an answer"),
  stddevOutputTokens: Setting.withDefault(
    "stddev-output-tokens",
    Setting.tokenSpread,
    80,
    "Standard deviation of the length of an answer"
  ),
  turns: Setting.withDefault(
    "turns",
    Setting.positiveInt("turns"),
    1,
    "Requests of a conversation; with more than 1 every arrival begins one, and prompts hold what was said before"
  ),
  thinkTime: Setting.withDefault(
    "think-time",
    Setting.duration,
    20,
    "Mean time from sending one turn of a conversation to sending the next",
    "20s"
  ),
  seed: Setting.withDefault("seed", Setting.naturalInt("integer"), FIXED_SEED, "Decides times and lengths"),
  output
}
