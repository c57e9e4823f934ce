import { type LoadCalibration, type Machine, type Spread, type Weight } from "../../src/domain/CalibrationResults.ts"

export const machine: Machine = {
  cpu_model: "A processor",
  cpu_count: 4,
  memory_bytes: 8_000_000_000,
  os: "linux x64 6.1",
  node_version: "24.0.0",
  llmperf_version: "1.2.3"
}

export const spreadOf = (p50: number, count = 100): Spread => ({
  count,
  p50,
  p99: 5 * p50,
  p999: 10 * p50,
  max: 20 * p50
})

export const weightOf = (weight: Partial<Weight>): Weight => ({
  kind: "closed",
  in_flight: 10,
  requests_per_s: 5,
  tokens_per_s: 500,
  ...weight
})

/** `name` stands in the place of a time. */
export const loadOf = (name: string, weight: Partial<Weight>, others = 0): LoadCalibration => ({
  measured_at: name,
  shape: {
    kind: weight.kind ?? "closed",
    concurrency: weight.in_flight ?? 10,
    requests_per_s: null,
    input_tokens: 550,
    output_tokens: 150,
    ttft_s: 0.1,
    itl_s: 0.02
  },
  weight: weightOf(weight),
  duration_s: 6,
  requests: 100,
  failed_requests: 0,
  lost_tokens: 0,
  added: {
    ttft_s: spreadOf(0.001),
    request_path_s: spreadOf(0.0004),
    answer_path_s: spreadOf(0.0006),
    inter_token_latency_s: spreadOf(0.000002),
    token_delay_s: spreadOf(0.0003),
    server_wait_s: spreadOf(0.0001),
    server_write_s: spreadOf(0.00001)
  },
  lag_s: spreadOf(0.002),
  busy: { client: 0.5, server: 0.2, others }
})
