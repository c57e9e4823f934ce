/**
 * The upper bounds of the buckets of live metrics. Those that OpenTelemetry suggests for generative AI
 * (https://github.com/open-telemetry/semantic-conventions-genai, docs/gen-ai/gen-ai-metrics.md) are kept as they are, so that what is
 * measured here can be laid over what servers say of themselves; our own are finer where LLMs are, and go further.
 */

/** `gen_ai.client.operation.duration`, `gen_ai.client.operation.time_to_first_chunk`: seconds. */
export const operationDuration = [
  0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92
]

/** `gen_ai.server.time_to_first_token`: seconds. */
export const timeToFirstToken = [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]

/** `gen_ai.server.time_per_output_token`: seconds. */
export const timePerOutputToken = [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5]

/** `gen_ai.client.token.usage`: tokens. */
export const tokenUsage = Array.from({ length: 14 }, (_, power) => 4 ** power)

/** A queue or a long prompt takes the first token beyond the ten seconds at which the suggestion ends. */
export const ttft = ascending(timeToFirstToken, [0.15, 0.2, 0.35, 1.5, 2, 3.5, 15, 20, 30, 60, 120])

/** Fast servers are below the ten milliseconds at which the suggestion begins, most of the others just above. */
export const interTokenLatency = ascending(
  timePerOutputToken,
  [0.001, 0.002, 0.003, 0.005, 0.0075, 0.015, 0.02, 0.03, 0.04]
)

/** From one bound of the suggestion to the next is a factor of two: above half a second there is one between. */
export const endToEndLatency = ascending(
  operationDuration,
  [0.96, 1.92, 3.84, 7.68, 15.36, 30.72, 61.44, 122.88, 163.84, 327.68, 655.36]
)

/** From what a healthy client needs to what is late (10 ms) and very late (100 ms), and to a client that cannot keep up. */
export const dispatchLag = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30
]

/** All of several, each once, in ascending order. */
export function ascending(...bounds: ReadonlyArray<ReadonlyArray<number>>): ReadonlyArray<number> {
  return [...new Set(bounds.flat())].toSorted((a, b) => a - b)
}
