import * as Struct from "effect/Struct"
import { loadTest } from "../flags.ts"
import * as Setting from "./setting.ts"

/** What a load test has and a correctness test has no use for: lengths, open loops, ways to make prompts. */
const shared = Struct.omit(loadTest, [
  "arrival",
  "burstSize",
  "burstiness",
  "calibrate",
  "duration",
  "from",
  "ignoreEos",
  "limit",
  "loop",
  "map",
  "maxInFlight",
  "maxRate",
  "maxSampledRequestsPerSecond",
  "meanInputTokens",
  "meanOutputTokens",
  "promptMode",
  "ramp",
  "requestRate",
  "samePrompts",
  "scaleInput",
  "scaleOutput",
  "scheduleFile",
  "scheduleFileSubdir",
  "scheduleTimeout",
  "speed",
  "stages",
  "stddevInputTokens",
  "stddevOutputTokens",
  "to",
  "usagePerChunk",
  "whenFull",
  "workers"
])

/** The flags of `llmperf correctness`. */
export const correctnessFlags = {
  ...shared,
  numConcurrentRequests: Setting.withDefault(
    "num-concurrent-requests",
    Setting.inFlight,
    10,
    "Requests in flight at any time"
  ),
  maxNumCompletedRequests: Setting.withDefault(
    "max-num-completed-requests",
    Setting.positiveInt("requests", 1_000_000_000),
    50,
    "Requests to send in all"
  ),
  timeout: Setting.withDefault("timeout", Setting.positiveDuration, 90, "After this time no new request starts", "90s"),
  seed: Setting.optional(
    "seed",
    Setting.naturalInt("integer"),
    "Decides the numbers: the same seed asks for the same ones",
    "another in every run"
  ),
  threshold: Setting.repeated(
    "threshold",
    Setting.text("condition"),
    'What must hold of the results, such as "answer_mismatch_rate < 5%" or "ttft_s.p99 < 500ms"; exit code 1 when it does not'
  ),
  maxMismatchRate: Setting.optional(
    "max-mismatch-rate",
    Setting.share,
    "Exit with 1 when a larger share of the answers is wrong"
  )
}
