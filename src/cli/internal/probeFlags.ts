import * as Struct from "effect/Struct"
import { api, loadTest } from "../flags.ts"
import { network } from "./networkFlags.ts"
import * as Setting from "./setting.ts"

/** The flags of `llmperf probe`: those of a load test that say what a request looks like and where it goes. */
export const probeFlags = {
  ...Struct.pick(loadTest, [
    "additionalSamplingParams",
    "config",
    "header",
    "idleTimeout",
    "ignoreEos",
    "model",
    "requestIdHeader",
    "sim",
    "tokenizer",
    "usagePerChunk"
  ]),
  ...api,
  prompt: Setting.withDefault(
    "prompt",
    Setting.text("text"),
    "Count from one to ten, in words.",
    "What to ask",
    '"Count from one to ten, in words."'
  ),
  maxTokens: Setting.withDefault("max-tokens", Setting.tokens, 64, "The longest answer to ask for, in tokens"),
  requestTimeout: Setting.withDefault(
    "request-timeout",
    Setting.durationOrNone,
    120,
    "Limit for the request, from start to end",
    "120s"
  ),
  ...network,
  json: Setting.toggle("json", false, "Print one JSON document instead of lines")
}
