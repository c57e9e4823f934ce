/**
 * Every flag of the command line, once: how it is read, its default, its unit, its environment variable.
 *
 * @since 0.1.0
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Latency from "../simulator/Latency.ts"
import * as Fault from "../simulator/Fault.ts"
import { parseSeconds } from "../domain/DurationText.ts"
import * as Secrets from "../domain/Secrets.ts"
import { CountTokens } from "../domain/TokenSource.ts"
import { errors } from "./internal/errorFlags.ts"
import { fleetFlags } from "./internal/fleetFlags.ts"
import { liveMetricsFlags } from "./internal/liveMetricsFlags.ts"
import { network } from "./internal/networkFlags.ts"
import { arrivals, scheduleEdits } from "./internal/scheduleFlags.ts"
import { FIXED_SEED } from "./internal/seed.ts"
import * as Setting from "./internal/setting.ts"
import { thresholdFlags } from "./internal/thresholdFlags.ts"
import { verdict } from "./internal/verdictFlags.ts"

const keyValues: Setting.Reader<ReadonlyArray<readonly [string, string]>> = {
  read: (text) => {
    const pairs = text.split(/(?<!\\),/).map((item) => {
      const at = item.indexOf("=")
      return [
        item.slice(0, at).trim(),
        item
          .slice(at + 1)
          .trim()
          .replaceAll("\\,", ","),
        at
      ] as const
    })
    return pairs.every(([key, , at]) => at > 0 && key !== "")
      ? Option.some(pairs.map(([key, value]) => [key, value] as const))
      : Option.none()
  },
  expected: "key=value, several separated by commas; a comma in a value is written \\,",
  metavar: "key=value,…"
}

/** Headers that the client writes itself, and that say how the connection is used. */
const ofTheConnection = ["connection", "content-length", "expect", "keep-alive", "transfer-encoding", "upgrade"]

/** A header as curl takes it. Names are tokens of RFC 9110; values have only what may be sent (RFC 9110, 5.5). */
const headerLine: Setting.Reader<readonly [string, string]> = {
  read: (text) => {
    const [, name, value] = /^\s*([!#$%&'*+\-.^_`|~0-9A-Za-z]+)\s*:\s*([\t\x20-\x7e\x80-\xff]*)$/.exec(text) ?? []
    return name === undefined || value === undefined || ofTheConnection.includes(name.toLowerCase())
      ? Option.none()
      : Option.some([name, value.trim()] as const)
  },
  expected: `a header, such as "X-Team: inference", and none that belongs to the connection (${ofTheConnection.join(", ")})`,
  metavar: "name: value",
  shown: Setting.hidden
}

const headerNameOrNone: Setting.Reader<string | null> = {
  read: (text) => {
    const name = text.trim().toLowerCase()
    if (name === "none") return Option.some(null)
    return /^[!#$%&'*+\-.^_`|~0-9a-z]+$/.test(name) ? Option.some(name) : Option.none()
  },
  expected: "the name of a header, or none",
  metavar: "name"
}

/** It becomes part of a header and of the names of files. */
const runId: Setting.Reader<string> = {
  read: (text) => (/^[\w.-]{1,128}$/.test(text) ? Option.some(text) : Option.none()),
  expected: "up to 128 letters, digits, dots, - and _",
  metavar: "id"
}

const url: Setting.Reader<string> = {
  read: (text) =>
    URL.canParse(text) && /^https?:/.test(text.trim().toLowerCase()) ? Option.some(text.trim()) : Option.none(),
  expected: "an http or https address, such as http://127.0.0.1:8000/v1",
  metavar: "url",
  shown: Secrets.shownAddress
}

/** A latency with its mean as a duration: `100ms`, `lognormal:100ms:0.5`. */
const latency: Setting.Reader<Latency.Latency> = {
  read: (text) => {
    const parts = text.trim().split(":")
    const mean = parts.length === 1 ? 0 : 1
    const seconds = parseSeconds(parts[mean] ?? "")
    if (seconds === undefined) return Option.none()
    return Schema.decodeOption(Latency.LatencyFromString)(parts.with(mean, String(seconds)).join(":"))
  },
  expected:
    "a latency: 100ms, exponential:100ms, or normal, lognormal or gamma with a coefficient of variation, such as lognormal:100ms:0.5",
  metavar: "latency"
}

const fault: Setting.Reader<Fault.Fault> = {
  read: Schema.decodeUnknownOption(Fault.FaultFromString),
  expected: `a fault: KIND, KIND:N, KIND@P% or KIND@every=N, where KIND is one of ${Object.keys(Fault.kinds).join(", ")}`,
  metavar: "fault"
}

const port: Setting.Reader<number> = {
  ...Setting.naturalInt("port"),
  read: (text) => Option.filter(Setting.naturalInt("port").read(text), (number) => number <= 65_535),
  expected: "a port, 0 to 65535; 0 takes any that is free"
}

const endpointNames = Setting.oneOf("chat", "completions", "responses")

/** Other tools take a path. */
const endpoint: typeof endpointNames = {
  ...endpointNames,
  expected: `${endpointNames.expected}; a path such as /v1/chat/completions belongs to --api-base`
}

/** The APIs that can be tested. */
export const llmApis = [
  "openai",
  "azure",
  "anthropic",
  "litellm",
  "together",
  "huggingface",
  "vertexai",
  "gemini",
  "sagemaker",
  "bedrock",
  "ollama",
  "simulated"
] as const

const llmApi: Setting.Reader<(typeof llmApis)[number]> = {
  ...Setting.oneOf(...llmApis),
  read: (text) => Setting.oneOf(...llmApis).read(text.trim() === "togetherai" ? "together" : text),
  metavar: "api"
}

/** How the simulated server behaves; `prefix` goes before every name. */
export const simulator = (prefix: "" | "sim-") => ({
  ttft: Setting.optional(
    `${prefix}ttft`,
    latency,
    "Time from getting a place in the batch to the first token; takes the place of the prefill model"
  ),
  itl: Setting.optional(
    `${prefix}itl`,
    latency,
    "Time from one token to the next; takes the place of the decode model"
  ),
  prefillRate: Setting.withDefault(
    `${prefix}prefill-rate`,
    Setting.positiveInt("tokens/s"),
    10_000,
    "Prompt tokens read per second"
  ),
  decodeStep: Setting.withDefault(
    `${prefix}decode-step`,
    Setting.duration,
    0.012,
    "Time of a decode step for one sequence",
    "12ms"
  ),
  decodeStepPerSequence: Setting.withDefault(
    `${prefix}decode-step-per-sequence`,
    Setting.duration,
    0.0001,
    "Time that every further sequence in the batch adds to a decode step",
    "0.1ms"
  ),
  maxBatch: Setting.withDefault(
    `${prefix}max-batch`,
    Setting.positiveInt("requests"),
    256,
    "Most requests at work at once; others wait"
  ),
  kvTokens: Setting.withDefault(
    `${prefix}kv-tokens`,
    Setting.positiveInt("tokens"),
    500_000,
    "Most tokens, input and asked-for output, of the requests at work"
  ),
  tokensPerChunk: Setting.withDefault(
    `${prefix}tokens-per-chunk`,
    Setting.positiveInt("tokens"),
    1,
    "Tokens sent at once"
  ),
  fault: Setting.repeated(
    `${prefix}fault`,
    fault,
    "Something that goes wrong, such as 429@5%, reset:10 or error-vllm@every=20"
  ),
  wrongRate: Setting.withDefault(
    `${prefix}wrong-rate`,
    Setting.share,
    0,
    "Correctness test: how many of the answers have a wrong number"
  ),
  silentRate: Setting.withDefault(
    `${prefix}silent-rate`,
    Setting.share,
    0,
    "Correctness test: how many of the answers have no number"
  )
})

const tokenizer = Setting.withDefault(
  "tokenizer",
  Setting.text("name"),
  "llama",
  "What counts tokens: llama, a Hugging Face model id, or a folder with tokenizer.json"
)

/** The flags of `llmperf serve`. */
export const serve = {
  host: Setting.withDefault("host", Setting.text("address"), "127.0.0.1", "Address to listen on"),
  port: Setting.withDefault("port", port, 8_089, "Port to listen on"),
  insecureListen: Setting.toggle(
    "insecure-listen",
    false,
    "Listen on an address that is not loopback: whoever reaches it is answered"
  ),
  ...simulator(""),
  seed: Setting.withDefault("seed", Setting.naturalInt("integer"), FIXED_SEED, "Decides texts, latencies and faults"),
  tokenizer,
  truth: Setting.toggle("truth", false, "Keep when each request came and each chunk was sent, for GET /_truth")
}

/** What is sent and when, and where the results go: for every command that runs a load. */
export const workload = {
  model: Setting.required("model", Setting.text("name"), "The model to ask for"),
  meanInputTokens: Setting.noted("mean-input-tokens", Setting.tokens, 550, "Mean length of a prompt, in tokens"),
  stddevInputTokens: Setting.noted(
    "stddev-input-tokens",
    Setting.tokenSpread,
    150,
    "Standard deviation of the length of a prompt, in tokens"
  ),
  meanOutputTokens: Setting.noted(
    "mean-output-tokens",
    Setting.tokens,
    150,
    "Mean of max_tokens, the length asked of an answer, in tokens"
  ),
  stddevOutputTokens: Setting.noted(
    "stddev-output-tokens",
    Setting.tokenSpread,
    80,
    "Standard deviation of max_tokens, in tokens"
  ),
  numConcurrentRequests: Setting.noted(
    "num-concurrent-requests",
    Setting.inFlight,
    10,
    "Closed loop: requests in flight at any time"
  ),
  maxNumCompletedRequests: Setting.noted(
    "max-num-completed-requests",
    Setting.positiveInt("requests", 1_000_000_000),
    10,
    "Requests to send in all; with a rate there is no limit unless it is given"
  ),
  timeout: Setting.noted(
    "timeout",
    Setting.positiveDuration,
    90,
    "After this time no new request starts; with a rate there is no limit unless it is given",
    "90s"
  ),
  grace: Setting.withDefault(
    "grace",
    Setting.duration,
    30,
    "How long requests in flight may go on after --timeout or the first Ctrl-C before they are cancelled",
    "30s"
  ),
  ...arrivals,
  scheduleFile: Setting.optional(
    "schedule-file",
    Setting.text("file"),
    "Open loop: send the requests of a schedule or a trace when they are due (CSV or JSON lines, also with gzip)"
  ),
  scheduleFileSubdir: Setting.toggle(
    "schedule-file-subdir",
    true,
    "Give a run of --schedule-file a folder of its own in --results-dir"
  ),
  scheduleTimeout: Setting.optional(
    "schedule-timeout",
    Setting.positiveDuration,
    "With --schedule-file: after this time no new request starts"
  ),
  ...scheduleEdits,
  maxSampledRequestsPerSecond: Setting.optional(
    "max-sampled-requests-per-second",
    Setting.naturalInt("requests/s"),
    "Open loop: measure at most N requests of each second; the others are sent and counted, but are in no distribution"
  ),
  maxInFlight: Setting.optional("max-in-flight", Setting.inFlight, "Open loop: limit of requests in flight"),
  whenFull: Setting.noted(
    "when-full",
    Setting.oneOf("queue", "drop", "abort"),
    "queue",
    "What to do when the limit of --max-in-flight is reached: make the request wait, drop it, or abort the test"
  ),
  requestTimeout: Setting.withDefault(
    "request-timeout",
    Setting.durationOrNone,
    null,
    "Limit for one request, from start to end",
    "none"
  ),
  idleTimeout: Setting.withDefault(
    "idle-timeout",
    Setting.positiveDuration,
    180,
    "Limit for a server that sends nothing, before or in an answer",
    "180s"
  ),
  runId: Setting.optional("run-id", runId, "Name of this run (default: timestamp + random suffix)"),
  tokenizer,
  countTokens: Setting.noted(
    "count-tokens",
    Setting.oneOf(...CountTokens.literals),
    "auto",
    "Whose count of output tokens leads: the server's usage, the tokenizer's, or auto: the server's if its first answer has usage. With --prompt-mode llmperf the default is tokenizer"
  ),
  promptMode: Setting.withDefault(
    "prompt-mode",
    Setting.oneOf("exact", "llmperf"),
    "exact",
    "exact counts the final text; llmperf makes LLMPerf's prompts, bit for bit"
  ),
  samePrompts: Setting.toggle(
    "same-prompts",
    false,
    "Send the same prompts in every run, all beginning with the same instruction, instead of prompts that no cache has seen"
  ),
  resultsDir: Setting.optional(
    "results-dir",
    Setting.text("folder"),
    "Folder for the result files; without it nothing is saved"
  ),
  metadata: Setting.repeated("metadata", keyValues, "Kept in the summary"),
  json: Setting.toggle("json", false, "Print the summary as JSON on standard output"),
  quiet: Setting.toggle("quiet", false, "Show no progress and no table"),
  config: Setting.optional(
    "config",
    Setting.text("file"),
    "YAML file with flags as keys; flags on the command line win"
  )
}

/** Which API is asked, and which of its forms. */
export const api = {
  llmApi: Setting.noted(
    "llm-api",
    llmApi,
    "openai",
    `The API to test: ${llmApis.join(", ")}. simulated starts a simulated server on loopback and tests that`
  ),
  provider: Setting.optional(
    "provider",
    Setting.text("file"),
    "A module with a provider of your own, in the place of --llm-api: it exports layer, or a function of the options that gives one"
  ),
  apiBase: Setting.optional(
    "api-base",
    url,
    "Address of the API, with or without /v1, or the full path; takes the place of OPENAI_API_BASE and of its like for the other APIs"
  ),
  endpoint: Setting.noted(
    "endpoint",
    endpoint,
    "chat",
    "Of OpenAI's API, and all of its shape: chat completions, the older text completions, or responses; a full path in --api-base says it too"
  ),
  payloadStyle: Setting.optional(
    "payload-style",
    Setting.oneOf("jumpstart", "tgi", "messages"),
    "sagemaker: what the container at the endpoint takes"
  ),
  vertexRoute: Setting.optional(
    "vertex-route",
    Setting.oneOf("predict", "raw", "publisher"),
    "vertexai: an endpoint's predict, which does not stream, its streamRawPredict, or a publisher's model"
  )
}

const workerCount = Setting.positiveInt("number", 1_024)

/** `auto` stands for as many as this machine has use for. */
const workers: Setting.Reader<number | "auto"> = {
  read: (text) => (text.trim() === "auto" ? Option.some("auto" as const) : workerCount.read(text)),
  expected: "a whole number above 0, or auto; at most 1024",
  metavar: "number|auto"
}

const seedDescription = "Decides prompts, lengths and arrivals: the same seed sends the same requests"

/** The flags of `llmperf load-test`. */
export const loadTest = {
  ...workload,
  seed: Setting.optional(
    "seed",
    Setting.naturalInt("integer"),
    seedDescription,
    `another in every run; ${FIXED_SEED} with --same-prompts or --prompt-mode llmperf`
  ),
  ...api,
  ...network,
  additionalSamplingParams: Setting.withDefault(
    "additional-sampling-params",
    Setting.jsonObject,
    {},
    "Put into every request body, over everything else; null removes a field",
    "{}"
  ),
  ignoreEos: Setting.toggle(
    "ignore-eos",
    false,
    "Ask the server for answers of the full length (ignore_eos, as vLLM and SGLang know it)"
  ),
  usagePerChunk: Setting.toggle(
    "usage-per-chunk",
    false,
    "Ask for usage in every chunk (stream_options.continuous_usage_stats of vLLM and SGLang): inter-token latency is then exact also when the first chunk has several tokens"
  ),
  header: Setting.repeated("header", headerLine, "A header to send with every request").pipe(Setting.alias("H")),
  requestIdHeader: Setting.withDefault(
    "request-id-header",
    headerNameOrNone,
    "x-request-id",
    "The header that carries <run id>-<request id>; none sends none"
  ),
  ...errors,
  ...verdict,
  ...thresholdFlags,
  ...liveMetricsFlags,
  report: Setting.toggle("report", false, "Write an HTML report beside the results; see llmperf report"),
  chunkTimes: Setting.toggle(
    "chunk-times",
    false,
    "Save when every chunk arrived, as chunks.arrow beside the results; see llmperf export --chunks"
  ),
  calibrate: Setting.toggle(
    "calibrate",
    false,
    "First measure what the client itself adds at this load, and keep it; see llmperf calibrate"
  ),
  warmup: Setting.toggle(
    "warmup",
    true,
    "First exercise the client and open connections, without a request to the model"
  ),
  warmupRequests: Setting.withDefault(
    "warmup-requests",
    Setting.naturalInt("requests", 100_000),
    0,
    "Real requests to send and leave out, before the clock starts"
  ),
  workers: Setting.withDefault(
    "workers",
    workers,
    1,
    "Threads that send the requests together, each with connections of its own; auto takes one for every two processors"
  ),
  ...fleetFlags,
  sim: simulator("sim-")
}

/** The flags of `llmperf simulate`. */
export const simulate = {
  ...workload,
  seed: Setting.withDefault("seed", Setting.naturalInt("integer"), FIXED_SEED, seedDescription),
  model: Setting.withDefault("model", Setting.text("name"), "simulated", "A name for the model, for the results"),
  server: simulator("")
}
