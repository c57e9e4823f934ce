/**
 * The charts of a report, by name.
 *
 * @since 0.2.0
 */

/**
 * In the order of the page.
 *
 * @category constants
 * @since 0.2.0
 */
export const chartNames = [
  "ttft-histogram",
  "ttft-cdf",
  "itl-histogram",
  "itl-cdf",
  "latency-histogram",
  "latency-cdf",
  "rate",
  "in-flight",
  "throughput",
  "ttft-over-time",
  "dispatch-lag",
  "schedule",
  "ttft-by-input",
  "errors",
  "slowest"
] as const

/**
 * @category models
 * @since 0.2.0
 */
export type ChartName = (typeof chartNames)[number]
