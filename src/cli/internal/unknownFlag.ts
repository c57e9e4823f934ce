import type { CliError } from "effect/cli"
import type * as HelpDoc from "effect/cli/HelpDoc"

/** Names that other load testers have for a flag, one flag a line. The same name may stand for different flags in different commands. */
const synonyms: ReadonlyArray<readonly [flag: string, names: string]> = [
  ["num-concurrent-requests", "concurrency max-concurrency concurrent-requests max-concurrent-requests num-concurrent"],
  ["num-concurrent-requests", "parallel parallelism vus users num-users c u"],
  ["max-num-completed-requests", "num-prompts request-count num-requests requests total-requests max-requests"],
  ["max-num-completed-requests", "max-num-requests iterations count n"],
  ["request-rate", "rate rates rps qps target-qps requests-per-second q"],
  ["ramp", "ramp-up ramp-up-strategy ramp-up-start-rps ramp-up-end-rps request-rate-ramp-duration"],
  ["arrival", "arrival-pattern arrival-process request-rate-mode request-distribution"],
  ["burstiness", "arrival-smoothness"],
  ["api-base", "url base-url api-url server-url endpoint-url target server u"],
  ["llm-api", "backend backend-type endpoint-type api api-type service-kind"],
  ["endpoint", "endpoint-type endpoint-path custom-endpoint"],
  ["model", "model-name model-names models model-id served-model-name m"],
  ["mean-input-tokens", "isl input-len input-length input-tokens prompt-tokens prompt-len input-sequence-length"],
  ["mean-input-tokens", "random-input-len random-input-tokens synthetic-input-tokens-mean"],
  ["stddev-input-tokens", "isl-stddev input-tokens-stddev prompt-tokens-stdev synthetic-input-tokens-stddev"],
  ["mean-output-tokens", "osl output-len output-length output-tokens output-tokens-mean output-sequence-length"],
  ["mean-output-tokens", "random-output-len max-tokens max-new-tokens max-output-tokens max-completion-tokens"],
  ["max-tokens", "max-new-tokens max-output-tokens max-completion-tokens output-tokens"],
  ["stddev-output-tokens", "osl-stddev output-tokens-stddev output-tokens-stdev"],
  ["tokenizer", "processor tokenizer-name"],
  ["seed", "random-seed"],
  ["schedule-file", "schedule input-file trace trace-file dataset dataset-path dataset-name data fixed-schedule"],
  ["additional-sampling-params", "sampling-params extra-body extra-inputs extra-params extra-request-body"],
  ["header", "headers"],
  ["request-timeout", "request-timeout-seconds timeout-per-request per-request-timeout"],
  ["grace", "grace-period benchmark-grace-period graceful-stop"],
  ["warmup-requests", "warmups num-warmups num-warmup-requests warmup-request-count warmup-count"],
  ["workers", "threads num-threads num-workers workers-max max-workers processes"],
  ["insecure", "insecure-skip-verify insecure-skip-tls-verify no-verify k"],
  ["threshold", "thresholds slo slos goodput assert"],
  ["fail-if", "threshold thresholds fail-on max-regression tolerance"],
  ["out", "output output-file output-path outfile results-dir o"],
  [
    "results-dir",
    "result-dir results output output-dir output-path out artifact-dir output-artifact-dir save-result o"
  ],
  ["json", "output-format format"],
  ["quiet", "silent no-progress disable-progress-bar disable-tqdm no-tui"],
  ["metadata", "tag tags label labels"],
  ["config", "config-file scenario"],
  ["report", "html html-report"]
]

/** What no flag of that name does, and a command with this flag has another way for. */
const others: ReadonlyArray<readonly [flag: string, names: string, words: (name: string) => string]> = [
  [
    "api-base",
    "api-key api-token token auth-token key",
    () =>
      "A key is taken from the environment, where other users of the machine do not see it: OPENAI_API_KEY for --llm-api openai, and docs/providers.md lists those of the other APIs"
  ],
  ["api-base", "host hostname port", () => "Give the whole address: --api-base http://HOST:PORT/v1"],
  [
    "timeout",
    "max-seconds max-duration benchmark-duration run-time test-duration z",
    () =>
      "With a rate it is --duration; without one --timeout, and a --max-num-completed-requests that does not end the test before"
  ],
  [
    "additional-sampling-params",
    "temperature top-p top-k min-p stop frequency-penalty presence-penalty repetition-penalty",
    (name) => `Give it as --additional-sampling-params '{"${name.replaceAll("-", "_")}": …}'`
  ],
  ["api-base", "stream streaming no-stream", () => "Requests are streamed wherever the API can: leave it out"],
  [
    "request-rate",
    "rate-type profile",
    () =>
      "A closed loop is --num-concurrent-requests N; an open loop --request-rate R with --arrival poisson, constant, gamma or burst"
  ],
  ["max-num-completed-requests", "verbose debug", () => "llmperf probe shows one request and its answer in full"]
]

const isOneOf = (names: string, name: string, mistakes: number): boolean =>
  names.split(" ").some((one) => one === name || (one.length > 5 && distance(one, name) <= mistakes))

/** What another tool calls `name`: the flags of this command that do it, or another way. */
const elsewhere = (name: string, known: ReadonlySet<string>, mistakes: number): string | null => {
  const flags = synonyms.flatMap(([flag, names]) => (known.has(flag) && isOneOf(names, name, mistakes) ? [flag] : []))
  if (flags.length > 0) return `Here it is ${[...new Set(flags)].map((flag) => `--${flag}`).join(" or ")}.`
  const other = others.find(([flag, names]) => known.has(flag) && isOneOf(names, name, mistakes))
  return other === undefined ? null : `${other[2](name)}.`
}

/** How many letters have to be inserted, left out or changed (Levenshtein, 1966). */
const distance = (from: string, to: string): number => {
  let before = Array.from({ length: to.length + 1 }, (_, index) => index)
  for (let i = 1; i <= from.length; i++) {
    const row = [i]
    for (let j = 1; j <= to.length; j++) {
      const change = (before[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1)
      row.push(Math.min((before[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, change))
    }
    before = row
  }
  return before[to.length] ?? 0
}

const MISTAKES = 2
/** A flag that differs in more of its letters than this share is another flag. */
const LARGEST_DIFFERENCE = 0.4

/** Those of the names that are spelled most like this one; none when all are far from it. */
export const nearest = (name: string, known: ReadonlySet<string>): ReadonlyArray<string> => {
  const near = [...known]
    .map((flag) => ({ flag, letters: distance(name, flag) }))
    .filter(({ flag, letters }) => letters <= LARGEST_DIFFERENCE * Math.max(flag.length, name.length))
  const fewest = Math.min(...near.map(({ letters }) => letters))
  return near.filter(({ letters }) => letters === fewest).map(({ flag }) => flag)
}

/** Says of a flag that the command does not have which one does what it does in other tools, or else which one is spelled alike. */
export const unknownFlag = (
  error: CliError.UnrecognizedOption,
  { flags, globalFlags = [] }: HelpDoc.HelpDoc
): string => {
  const name = error.option.replace(/^-+/, "").replaceAll("_", "-")
  const known = new Set([...flags, ...globalFlags].map((flag) => flag.name))
  const where = `Unrecognized flag: ${error.option}${error.command === undefined ? "" : ` in command ${error.command.join(" ")}`}`
  const same = elsewhere(name, known, 0)
  if (same !== null) return `${where}. ${same}`
  // One letter is like every other
  if (name.length < 2) return where
  if (error.suggestions.length > 0) return error.message
  const alike = elsewhere(name, known, MISTAKES)
  if (alike !== null) return `${where}. ${alike}`
  const suggestions = nearest(name, known)
  if (suggestions.length === 0) return where
  return `${where}\n\n  Did you mean this?\n${suggestions.map((flag) => `    --${flag}`).join("\n")}`
}
