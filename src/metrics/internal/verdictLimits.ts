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
 * Every limit of a verdict. `docs/verdict.md` gives the reason of each.
 *
 * - `loop_delay`: s. Below it a delay of the event loop is never held against the client, whatever is measured
 * - `loop_delay_of_ttft`, `loop_delay_of_gap`: the delay (p99) as a share of the median TTFT (for answers that do not stream,
 *   of the median latency), and of the mean gap between chunks
 * - `loop_delay_max`: s, the longest delay of the run
 * - `gc_pause`: s, the longest pause of a slice, and as `loop_delay_of_ttft` beside the TTFT; `gc_time`: share of the time
 * - `loop_utilization`, `machine_cpu`, `steal`: share of the time in which the event loop was at work, the processors of
 *   the machine were, and its host gave them to others
 * - `used_memory`: share of the memory; `open_files`: share of the open files allowed
 * - `late_requests`, `very_late_requests`: of an open loop, share of the requests sent more than 10 and 100 ms after they were
 *   due; `rate_shortfall`: by how much the rate stayed below the one asked for; `queued_requests`, `dropped_requests`: share
 *   that waited for a place in flight, or found none
 * - `lost_slot_time`: of a closed loop, share of the time in which slots were free and nothing was sent on them
 * - `own_errors`: share of requests that failed by the fault of the client
 * - `token_mismatch_of_output`, `token_mismatch_of_input`: by how much the tokenizer's counts of answers and of prompts are off from
 *   the server's, as a share of these: of answers where the tokenizer counts them, of prompts beyond `TEMPLATE_TOKENS` each
 * - `bad_time`, `invalid_time`: share of the run in slices that are not VALID, and that are INVALID
 *
 * @category models
 * @since 0.2.0
 */
export const Limits = Schema.Struct({
  loop_delay: Limit,
  loop_delay_of_ttft: Limit,
  loop_delay_of_gap: Limit,
  loop_delay_max: Limit,
  gc_pause: Limit,
  gc_time: Limit,
  loop_utilization: Limit,
  machine_cpu: Limit,
  steal: Limit,
  used_memory: Limit,
  open_files: Limit,
  late_requests: Limit,
  very_late_requests: Limit,
  rate_shortfall: Limit,
  queued_requests: Limit,
  dropped_requests: Limit,
  lost_slot_time: Limit,
  own_errors: Limit,
  token_mismatch_of_output: Limit,
  token_mismatch_of_input: Limit,
  bad_time: Limit,
  invalid_time: Limit
})

/**
 * @category models
 * @since 0.2.0
 */
export interface Limits extends Schema.Schema.Type<typeof Limits> {}

/**
 * @category models
 * @since 0.2.0
 */
export type LimitName = keyof Limits

/**
 * The limits unless others are given.
 *
 * @category constants
 * @since 0.2.0
 */
export const defaultLimits: Limits = {
  loop_delay: { degraded: 0.005, invalid: 0.05 },
  loop_delay_of_ttft: { degraded: 0.1, invalid: 0.5 },
  loop_delay_of_gap: { degraded: 0.5, invalid: 5 },
  loop_delay_max: { degraded: 1, invalid: null },
  gc_pause: { degraded: 0.05, invalid: null },
  gc_time: { degraded: 0.1, invalid: null },
  loop_utilization: { degraded: 0.95, invalid: null },
  machine_cpu: { degraded: 0.98, invalid: null },
  steal: { degraded: 0.1, invalid: null },
  used_memory: { degraded: 0.95, invalid: null },
  open_files: { degraded: 0.9, invalid: null },
  late_requests: { degraded: 0.01, invalid: null },
  very_late_requests: { degraded: 0.01, invalid: 0.05 },
  rate_shortfall: { degraded: 0.05, invalid: 0.2 },
  queued_requests: { degraded: 0.01, invalid: null },
  dropped_requests: { degraded: 0.01, invalid: 0.1 },
  lost_slot_time: { degraded: 0.05, invalid: 0.25 },
  own_errors: { degraded: 0, invalid: 0.01 },
  token_mismatch_of_output: { degraded: 0.05, invalid: null },
  token_mismatch_of_input: { degraded: 0.2, invalid: null },
  bad_time: { degraded: 0.1, invalid: null },
  invalid_time: { degraded: 0.02, invalid: 0.5 }
}

/**
 * In what a limit is given: seconds, or a share, where 1 is the whole.
 *
 * @category models
 * @since 0.2.0
 */
export type Unit = "s" | "share"

/** What is measured, in words, and what helps. */
export interface Check {
  readonly what: string
  readonly unit: Unit
  readonly advice: string
}

const lighter = "send less, use more processors (--workers), or give the client a machine of its own"

/** Every limit in words. */
export const checks: { readonly [name in LimitName]: Check } = {
  loop_delay: { what: "event-loop delay (p99)", unit: "s", advice: lighter },
  loop_delay_of_ttft: { what: "event-loop delay (p99), too long for the TTFT reported", unit: "s", advice: lighter },
  loop_delay_of_gap: {
    what: "event-loop delay (p99), too long for the gaps between chunks reported",
    unit: "s",
    advice: `${lighter}; means per token suffer less than quantiles and maxima of gaps`
  },
  loop_delay_max: {
    what: "longest event-loop delay",
    unit: "s",
    advice:
      "the largest values reported may be the client's; look for what stopped the process (swap, suspend, debugger)"
  },
  gc_pause: {
    what: "longest garbage collection",
    unit: "s",
    advice: "keep fewer or shorter answers in flight, or use more processors (--workers)"
  },
  gc_time: {
    what: "share of the time spent in garbage collection",
    unit: "share",
    advice: "keep fewer or shorter answers in flight, or give the process more memory"
  },
  loop_utilization: {
    what: "share of the time in which the client's thread had work to do",
    unit: "share",
    advice: `the rates reported may be the client's limit: ${lighter}`
  },
  machine_cpu: {
    what: "share of this machine's processors in use",
    unit: "share",
    advice: "stop what else runs here; a server on the same machine competes with the client"
  },
  steal: {
    what: "share of processor time that the host gave to other machines",
    unit: "share",
    advice: "use a machine with processors of its own"
  },
  used_memory: {
    what: "share of the memory in use",
    unit: "share",
    advice: "free memory, or send fewer requests at a time: a machine that swaps stops its clients"
  },
  open_files: {
    what: "share of the open files allowed",
    unit: "share",
    advice: "raise the limit (ulimit -n), or send fewer requests at a time"
  },
  late_requests: {
    what: "share of requests sent more than 10 ms late by the client",
    unit: "share",
    advice: `the server saw other arrivals than asked for: ${lighter}`
  },
  very_late_requests: {
    what: "share of requests sent more than 100 ms late by the client",
    unit: "share",
    advice: `the server saw other arrivals than asked for: ${lighter}`
  },
  rate_shortfall: {
    what: "request rate below the one asked for, by a share of",
    unit: "share",
    advice: lighter
  },
  queued_requests: {
    what: "share of requests that waited for a place in flight",
    unit: "share",
    advice: "the load was bounded by --max-in-flight and not by the schedule: raise it, or read the scheduled latencies"
  },
  dropped_requests: {
    what: "share of requests left out for want of a place in flight",
    unit: "share",
    advice: "less was sent than asked for: raise --max-in-flight, or ask for less"
  },
  lost_slot_time: {
    what: "share of the slots' time that passed before their next request was sent",
    unit: "share",
    advice: `fewer requests were in flight than asked for: ${lighter}`
  },
  own_errors: {
    what: "share of requests that failed because the client ran out of files, ports or memory",
    unit: "share",
    advice: "raise the limits of this machine (ulimit -n, ports), or send fewer requests at a time"
  },
  token_mismatch_of_output: {
    what: "difference of the tokenizer's count of output tokens from the server's",
    unit: "share",
    advice:
      "rates and inter-token latency are per token of another tokenizer than the model's: let the server count (--count-tokens server), or name the model's (--tokenizer NAME)"
  },
  token_mismatch_of_input: {
    what: "difference of the tokenizer's count of input tokens from the server's",
    unit: "share",
    advice:
      "the model saw prompts of other lengths than asked for: name its tokenizer (--tokenizer NAME); llmperf probe says how far one is off"
  },
  bad_time: {
    what: "share of the run in slices that are not VALID",
    unit: "share",
    advice: "see the slices; what was measured in them may be the client's"
  },
  invalid_time: {
    what: "share of the run in slices that are INVALID",
    unit: "share",
    advice: "see the slices; what was measured in them is the client's"
  }
}
