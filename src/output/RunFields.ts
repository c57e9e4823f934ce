/**
 * What a summary says of how a run was made, besides what was asked for and what came of it.
 *
 * @since 0.2.0
 */
import * as Schema from "effect/Schema"
import { SharedPrompts } from "../domain/SharedPrompts.ts"
import { DetailedDistribution } from "../domain/Summary.ts"
import * as Verdict from "../metrics/Verdict.ts"

/**
 * What was done before the clock started: exchanges with a server of our own, connections opened to the real one, real requests
 * and how many of these failed, and how long all of it took.
 *
 * @category models
 * @since 0.2.0
 */
export const WarmUpFields = Schema.Struct({
  rehearsed_requests: Schema.Int,
  opened_connections: Schema.Int,
  requests: Schema.Int,
  failed_requests: Schema.Int,
  duration_s: Schema.Finite
})

/**
 * How the server was reached: its scheme, host and port (`null` where a provider of one's own does not say), whether certificates were verified, the files of the authorities and of the client's certificate,
 * the proxy between, without its password, and whether connections were kept or opened for every request.
 *
 * @category models
 * @since 0.2.0
 */
export const NetworkFields = Schema.Struct({
  server: Schema.NullOr(Schema.String),
  tls_verified: Schema.Boolean,
  ca: Schema.NullOr(Schema.String),
  client_certificate: Schema.NullOr(Schema.String),
  http2: Schema.Boolean,
  connections: Schema.optionalKey(Schema.Literals(["reuse", "fresh"])),
  proxy: Schema.NullOr(Schema.String)
})

/**
 * An agent on another machine, what it did, and the verdict on the requests that it sent.
 *
 * - `cores`, `memory_bytes`, `open_files`: of its machine
 * - `missing_rows`: requests whose rows could not be fetched from it; `missing_row_ids`: their ids
 * - `clock_…`: its clock less ours, half of which the round trip may be wrong, and how far it drifted during the run
 * - `started_s`: when it began to send, seconds after the start
 * - `verdict`: `null` when it was lost before it could tell how it was, or none of its requests succeeded
 * - `lost`: why it was lost, `null` when it was not; `lost_requests`: the ids of the requests that it held
 *
 * @category models
 * @since 0.2.0
 */
export const AgentFields = Schema.Struct({
  name: Schema.String,
  host: Schema.String,
  version: Schema.String,
  cores: Schema.Int,
  memory_bytes: Schema.Finite,
  open_files: Schema.NullOr(Schema.Int),
  requests: Schema.Int,
  missing_rows: Schema.Int,
  missing_row_ids: Schema.Array(Schema.Int),
  clock_offset_s: Schema.Finite,
  clock_round_trip_s: Schema.Finite,
  clock_drift_s: Schema.Finite,
  started_s: Schema.NullOr(Schema.Finite),
  dispatch_lag_s: DetailedDistribution,
  verdict: Schema.NullOr(Verdict.Grade),
  verdict_reasons: Schema.Array(
    Schema.Struct({
      check: Verdict.CheckName,
      verdict: Verdict.Grade,
      what: Schema.String,
      sentence: Schema.String,
      value: Schema.Finite,
      unit: Verdict.Reason.fields.unit,
      limit: Schema.Finite
    })
  ),
  lost: Schema.NullOr(Schema.String),
  lost_requests: Schema.Array(Schema.Int)
})

/**
 * @category models
 * @since 0.2.0
 */
export interface AgentFields extends Schema.Schema.Type<typeof AgentFields> {}

/**
 * What became of the spans of requests: where they went, and how many arrived, were left out or refused. See `OtlpSpans.Report`.
 *
 * @category models
 * @since 0.2.0
 */
export const SpansFields = Schema.Struct({
  url: Schema.String,
  sent_spans: Schema.Int,
  dropped_spans: Schema.Int,
  failed_spans: Schema.Int,
  last_problem: Schema.NullOr(Schema.String)
})

const Count = Schema.optionalKey(Schema.Int)
const CountOrNull = Schema.optionalKey(Schema.NullOr(Schema.Int))
const Num = Schema.optionalKey(Schema.NullOr(Schema.Finite))
const Text = Schema.optionalKey(Schema.String)

/**
 * The keys of a summary that are not there in every run, before they are made flat (`network_proxy`, `warmup_duration_s`).
 *
 * - `network`: by the command line; a library that brings a transport of its own says nothing of it
 * - `workers`: how many threads sent; with several also `requests_per_worker`, and of those that died `partial` and
 *   `lost_requests`, the ids of the requests that they held
 * - `agents`: the agents on other machines; `start_spread_s`: from the first one that began to send to the last
 * - `otlp`: what became of spans, when they were sent
 * - `warmup`: `null` when there was none
 * - `shared_prompts`: why prompts begin alike, `null` when each begins with words of its own
 * - `inexact_prompts`: prompts that have not the length asked for; `redrawn_…`: lengths that came out too small and were drawn
 *   again; `expected_…`: what the mean and the deviation of lengths come to by that; `repeated_prompts`: prompts that were sent before
 * - `request_rate`, `arrival`, `burstiness`, `burst_size`, `duration_s`: the arrivals of an open loop, as asked for
 * - `schedule_format`, `schedule_changes`: of a schedule from a file, what it was and what was changed of it
 * - `max_in_flight`, `when_full`, `max_sampled_requests_per_second`: of an open loop, `null` for no limit
 *
 * @category models
 * @since 0.2.0
 */
export const RunFields = Schema.Struct({
  network: Schema.optionalKey(NetworkFields),
  workers: Count,
  requests_per_worker: Schema.optionalKey(Schema.Array(Schema.Int)),
  partial: Schema.optionalKey(Schema.Boolean),
  lost_requests: Schema.optionalKey(Schema.Array(Schema.Int)),
  start_spread_s: Num,
  agents: Schema.optionalKey(Schema.Array(AgentFields)),
  otlp: Schema.optionalKey(SpansFields),
  warmup: Schema.optionalKey(Schema.NullOr(WarmUpFields)),
  shared_prompts: Schema.optionalKey(Schema.NullOr(SharedPrompts)),
  inexact_prompts: Count,
  redrawn_input_tokens: Count,
  redrawn_output_tokens: Count,
  expected_mean_input_tokens: Num,
  expected_stddev_input_tokens: Num,
  expected_mean_output_tokens: Num,
  expected_stddev_output_tokens: Num,
  repeated_prompts: Count,
  request_rate: Text,
  arrival: Text,
  burstiness: Num,
  burst_size: CountOrNull,
  duration_s: Num,
  schedule_format: Text,
  schedule_changes: Schema.optionalKey(Schema.Record(Schema.String, Schema.Unknown)),
  max_in_flight: CountOrNull,
  when_full: Schema.optionalKey(Schema.NullOr(Schema.String)),
  max_sampled_requests_per_second: CountOrNull
})

/**
 * @category models
 * @since 0.2.0
 */
export interface RunFields extends Schema.Schema.Type<typeof RunFields> {}
