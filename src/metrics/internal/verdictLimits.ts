import * as Record from "effect/Record"
import * as Schema from "effect/Schema"

const Threshold = Schema.NullOr(Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0)))

/**
 * Above `degraded` the verdict is DEGRADED, above `invalid` INVALID; `null` for never.
 *
 * @category models
 * @since 0.2.0
 */
export const Limit = Schema.Struct({ degraded: Threshold, invalid: Threshold })

/**
 * @category models
 * @since 0.2.0
 */
export interface Limit extends Schema.Schema.Type<typeof Limit> {}

/**
 * In what a limit is given: seconds, or a share, where 1 is the whole.
 *
 * @category models
 * @since 0.2.0
 */
export type Unit = "s" | "share"

/**
 * Who is behind a reason: the client; the server, which does not keep up with the schedule; the tokenizer; the counts of
 * tokens, some of which are not known; what became of the prompts on
 * their way; the provider, which threw an exception.
 *
 * @category models
 * @since 0.2.0
 */
export const Party = Schema.Literals(["client", "server", "tokenizer", "counts", "prompts", "provider"])

/**
 * @category models
 * @since 0.2.0
 */
export type Party = typeof Party.Type

/**
 * A check of the verdict.
 *
 * - `degraded`, `invalid`: its limits unless others are given
 * - `party`: who is behind it
 * - `unit`: of what is measured; `limitUnit`: of its limits, where these are in another
 * - `what`: what is measured, in a few words; `cause`: what it comes down to, in one or two; `says`: the finding in a sentence, given
 *   the amount
 * - `advice`: what to do about it
 */
interface Check {
  readonly degraded: number | null
  readonly invalid: number | null
  readonly party: Party
  readonly unit: Unit
  readonly limitUnit?: Unit
  readonly what: string
  readonly cause: string
  readonly says: (amount: string) => string
  readonly advice: string
}

const check = (of: Check): Check => of

const lighter = "Send less, use more processors (--workers), or run llmperf on a machine of its own"

/**
 * Every check, from what it measures to what it says: a new one is an entry here and a finding in `verdictChecks.ts`.
 * `docs/verdict.md` gives the reason of each limit.
 */
export const checks = {
  loop_delay: check({
    degraded: 0.005,
    invalid: 0.05,
    party: "client",
    unit: "s",
    what: "event-loop delay",
    cause: "event-loop delay",
    says: (amount) => `The client looked up to ${amount} late (p99) at what arrived`,
    advice: lighter
  }),
  loop_delay_of_ttft: check({
    degraded: 0.1,
    invalid: 1 / 3,
    party: "client",
    unit: "s",
    limitUnit: "share",
    what: "by how much event-loop delays may have lengthened TTFT (p99)",
    cause: "event-loop delay",
    says: (amount) => `The client's delays added up to ${amount} to TTFT (p99)`,
    advice: lighter
  }),
  loop_delay_of_gap: check({
    degraded: 1 / 3,
    invalid: 5 / 6,
    party: "client",
    unit: "s",
    limitUnit: "share",
    what: "by how much event-loop delays may have lengthened the gaps between chunks (p99)",
    cause: "event-loop delay",
    says: (amount) => `The client's delays added up to ${amount} to the gaps between chunks (p99)`,
    advice: `${lighter}. Inter-token latency and means suffer less than quantiles and maxima of gaps`
  }),
  loop_delay_max: check({
    degraded: 1,
    invalid: null,
    party: "client",
    unit: "s",
    what: "longest event-loop delay",
    cause: "event-loop delay",
    says: (amount) => `The client's event loop stood still for ${amount}`,
    advice:
      "The largest values reported may be the client's. Look for what stopped the process (swap, suspend, debugger)"
  }),
  gc_pause: check({
    degraded: 0.05,
    invalid: null,
    party: "client",
    unit: "s",
    what: "longest garbage collection",
    cause: "garbage collection",
    says: (amount) => `A garbage collection stopped the client for ${amount}`,
    advice: "Keep fewer or shorter answers in flight, or use more processors (--workers)"
  }),
  gc_time: check({
    degraded: 0.1,
    invalid: null,
    party: "client",
    unit: "share",
    what: "share of the time spent in garbage collection",
    cause: "garbage collection",
    says: (amount) => `The client spent ${amount} of the time in garbage collection`,
    advice: "Keep fewer or shorter answers in flight, or give the process more memory"
  }),
  loop_utilization: check({
    degraded: 0.95,
    invalid: null,
    party: "client",
    unit: "share",
    what: "share of the time in which the client's thread was busy",
    cause: "busy thread",
    says: (amount) => `The client's thread was busy ${amount} of the time`,
    advice: `The rates reported may be the client's limit. ${lighter}`
  }),
  machine_cpu: check({
    degraded: 0.98,
    invalid: null,
    party: "client",
    unit: "share",
    what: "share of this machine's processors in use",
    cause: "CPU",
    says: (amount) => `The processors of this machine were ${amount} busy`,
    advice: "Stop what else runs here. A server on the same machine competes with the client"
  }),
  steal: check({
    degraded: 0.1,
    invalid: null,
    party: "client",
    unit: "share",
    what: "share of processor time that the host gave to other machines",
    cause: "CPU taken by the host",
    says: (amount) => `The host gave ${amount} of this machine's processor time to other machines`,
    advice: "Use a machine with dedicated processors"
  }),
  used_memory: check({
    degraded: 0.95,
    invalid: null,
    party: "client",
    unit: "share",
    what: "share of the memory in use",
    cause: "memory",
    says: (amount) => `The memory of this machine was ${amount} full`,
    advice: "Free memory, or send fewer requests at a time: swapping stops the client"
  }),
  open_files: check({
    degraded: 0.9,
    invalid: null,
    party: "client",
    unit: "share",
    what: "share of the open files allowed",
    cause: "open files",
    says: (amount) => `The client needed ${amount} of the files it may have open`,
    advice: "Raise the limit (ulimit -n), or send fewer requests at a time"
  }),
  late_requests: check({
    degraded: 0.01,
    invalid: null,
    party: "client",
    unit: "share",
    what: "share of requests that the client sent more than 10 ms late",
    cause: "late requests",
    says: (amount) => `The client sent ${amount} of the requests more than 10 ms late`,
    advice: `The server saw other arrivals than asked for. ${lighter}`
  }),
  very_late_requests: check({
    degraded: 0.01,
    invalid: 0.05,
    party: "client",
    unit: "share",
    what: "share of requests that the client sent more than 100 ms late",
    cause: "late requests",
    says: (amount) => `The client sent ${amount} of the requests more than 100 ms late`,
    advice: `The server saw other arrivals than asked for. ${lighter}`
  }),
  rate_shortfall: check({
    degraded: 0.05,
    invalid: 0.2,
    party: "client",
    unit: "share",
    what: "by how much the request rate stayed below the one asked for",
    cause: "late requests",
    says: (amount) => `The request rate was ${amount} below the one asked for`,
    advice: lighter
  }),
  queued_requests: check({
    degraded: 0.01,
    invalid: null,
    party: "server",
    unit: "share",
    what: "share of requests that waited for a place in flight",
    cause: "--max-in-flight",
    says: (amount) => `--max-in-flight held back ${amount} of the requests`,
    advice: "The load was bounded by --max-in-flight, not by the schedule. Raise it, or read the scheduled latencies"
  }),
  dropped_requests: check({
    degraded: 0.01,
    invalid: 0.1,
    party: "server",
    unit: "share",
    what: "share of requests dropped because too many were in flight",
    cause: "--max-in-flight",
    says: (amount) => `--when-full drop left out ${amount} of the requests`,
    advice: "Less was sent than asked for. Raise --max-in-flight, or ask for less"
  }),
  lost_slot_time: check({
    degraded: 0.05,
    invalid: 0.25,
    party: "client",
    unit: "share",
    what: "share of the time in which slots stood empty, waiting for the client",
    cause: "empty slots",
    says: (amount) => `Slots stood empty ${amount} of the time, waiting for the client`,
    advice: `Fewer requests were in flight than asked for. ${lighter}`
  }),
  own_errors: check({
    degraded: 0,
    invalid: 0.01,
    party: "client",
    unit: "share",
    what: "share of requests that failed because the client ran out of files, ports or memory",
    cause: "own failures",
    says: (amount) => `${amount} of the requests failed because the client ran out of files, ports or memory`,
    advice: "Raise the limits of this machine (ulimit -n, ports), or send fewer requests at a time"
  }),
  provider_errors: check({
    degraded: 0,
    invalid: 0.01,
    party: "provider",
    unit: "share",
    what: "share of requests that failed with an exception in the provider",
    cause: "exceptions",
    says: (amount) => `${amount} of the requests failed with an exception in the provider`,
    advice:
      "Mend the provider: the stack among the failures names file and line. If it is none of your own, it is a defect of llmperf: please report it"
  }),
  token_mismatch_of_output: check({
    degraded: 0.05,
    invalid: null,
    party: "tokenizer",
    unit: "share",
    what: "difference of the tokenizer's count of output tokens from the server's",
    cause: "tokens",
    says: (amount) => `The tokenizer's count of output tokens is ${amount} off the server's`,
    advice:
      "Rates and inter-token latency are per token of another tokenizer than the model's: let the server count (--count-tokens server), or name the model's (--tokenizer NAME)"
  }),
  token_mismatch_of_input: check({
    degraded: 0.2,
    invalid: null,
    party: "tokenizer",
    unit: "share",
    what: "difference of the tokenizer's count of input tokens from the server's",
    cause: "tokens",
    says: (amount) => `The tokenizer's count of input tokens is ${amount} off the server's`,
    advice:
      "The model saw prompts of other lengths than asked for: name its tokenizer (--tokenizer NAME); llmperf probe says how far one is off"
  }),
  prompt_mismatch: check({
    degraded: 2,
    invalid: null,
    party: "prompts",
    unit: "share",
    what: "by how much the larger of the tokenizer's and the server's counts of input tokens is above the other",
    cause: "prompts",
    says: (amount) => `The tokenizer's and the server's counts of input tokens are ${amount} apart`,
    advice:
      "No tokenizer is that far off: the server read another prompt than the one counted. It may cut prompts, ignore the field they are in, or add a prompt of its own; --additional-sampling-params may replace them. llmperf probe shows what is sent and what the server counts"
  }),
  uncounted_answers: check({
    degraded: 0,
    invalid: null,
    party: "counts",
    unit: "share",
    what: "share of answers whose tokens are not known",
    cause: "tokens",
    says: (amount) => `The tokens of ${amount} of the answers are not known`,
    advice:
      "Throughputs and totals of tokens are unknown, inter-token latency is that of the other answers. Where the server sends no usage with some of them, --count-tokens tokenizer counts every answer"
  }),
  bad_time: check({
    degraded: 0.1,
    invalid: null,
    party: "client",
    unit: "share",
    what: "share of the run in which the client was overloaded",
    cause: "overload",
    says: (amount) => `The client was overloaded for ${amount} of the run`,
    advice: "What was measured in these slices may be the client's"
  }),
  invalid_time: check({
    degraded: 0.02,
    invalid: 0.5,
    party: "client",
    unit: "share",
    what: "share of the run in which the client was the bottleneck",
    cause: "overload",
    says: (amount) => `The client was the bottleneck for ${amount} of the run`,
    advice: "What was measured in these slices is the client's"
  })
}

/**
 * @category models
 * @since 0.2.0
 */
export type LimitName = keyof typeof checks

/**
 * Who is behind a check.
 *
 * @category reading
 * @since 0.2.0
 */
export const partyOf = (name: LimitName): Party => checks[name].party

/** The names of all checks, in order. */
export const checkNames = Record.keys(checks)

/**
 * Every limit of a verdict. `docs/verdict.md` gives the reason of each.
 *
 * - `loop_delay`: s. Below it a delay of the event loop is never held against the client, whatever is measured
 * - `loop_delay_of_ttft`: by how much the event loop's delay at the arrival of first tokens may have lengthened TTFT (p99), as a share of
 *   the TTFT reported (p99); of the latency for answers that do not stream. `loop_delay_of_gap`: the same of the gaps between chunks
 * - `loop_delay_max`: s, the longest delay of the run
 * - `gc_pause`: s, the longest pause of a slice, and as `loop_delay_of_ttft` beside the TTFT; `gc_time`: share of the time
 * - `loop_utilization`, `machine_cpu`, `steal`: share of the time in which the event loop was at work, the processors of
 *   the machine were, and its host gave them to others
 * - `used_memory`: share of the memory; `open_files`: share of the open files allowed
 * - `late_requests`, `very_late_requests`: of an open loop, share of the requests sent more than 10 and 100 ms after they were
 *   due; `rate_shortfall`: by how much the rate stayed below the one asked for; `queued_requests`, `dropped_requests`: share
 *   that waited for a place in flight, or found none
 * - `lost_slot_time`: of a closed loop, share of the time in which slots were free and nothing was sent on them
 * - `own_errors`: share of requests that failed by the fault of the client; `provider_errors`: with an exception in the provider
 * - `token_mismatch_of_output`, `token_mismatch_of_input`: by how much the tokenizer's counts of answers and of prompts are off from
 *   the server's, as a share of these: of answers where the tokenizer counts them, of prompts beyond `TEMPLATE_TOKENS` each.
 *   `prompt_mismatch`: by how much the larger count of prompts is above the other, where it is so far that no tokenizer explains it
 * - `uncounted_answers`: share of the answers whose tokens nobody counted
 * - `bad_time`, `invalid_time`: share of the run in slices that are not VALID, and that are INVALID
 *
 * @category models
 * @since 0.2.0
 */
export const Limits = Schema.Struct(Record.map(checks, () => Limit))

/**
 * @category models
 * @since 0.2.0
 */
export interface Limits extends Schema.Schema.Type<typeof Limits> {}

/**
 * The limits unless others are given.
 *
 * @category constants
 * @since 0.2.0
 */
export const defaultLimits: Limits = Record.map(checks, ({ degraded, invalid }) => ({ degraded, invalid }))
