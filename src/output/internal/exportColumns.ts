import type { CorrectnessRecord } from "../../domain/CorrectnessResults.ts"
import { RequestRecord } from "../../domain/RequestRecord.ts"
import type { Fields } from "../../domain/Fields.ts"

/**
 * `code` is a number or a text, and a text in a table. `json` is the text of any value. `count` is what a server counted: what is
 * no count is not known.
 */
export type Kind = "text" | "number" | "integer" | "count" | "boolean" | "code" | "json"

export interface Column {
  readonly name: string
  readonly kind: Kind
}

/** `null` is what is not known. A `json` cell is its text. */
export type Cell = string | number | boolean | null

const kinds: { readonly [name in keyof CorrectnessRecord]: Kind } = {
  error_code: "code",
  error_msg: "text",
  inter_token_latency_s: "number",
  sum_inter_token_latency_s: "number",
  mean_inter_token_latency_s: "number",
  ttft_s: "number",
  end_to_end_latency_s: "number",
  start_time: "number",
  end_time: "number",
  request_output_throughput_token_per_s: "number",
  number_total_tokens: "integer",
  number_output_tokens: "integer",
  number_input_tokens: "integer",
  request_id: "integer",
  x_request_id: "text",
  error_reason: "text",
  status: "integer",
  finish_reason: "text",
  target_input_tokens: "integer",
  target_output_tokens: "integer",
  intended_offset_s: "number",
  sent_offset_s: "number",
  end_offset_s: "number",
  dispatch_lag_s: "number",
  scheduled_ttft_s: "number",
  scheduled_end_to_end_latency_s: "number",
  time_to_first_answer_s: "number",
  dns_s: "number",
  connect_s: "number",
  tls_s: "number",
  connection_retry_s: "number",
  number_chunks: "integer",
  tokens_per_chunk: "number",
  max_inter_chunk_latency_s: "number",
  token_source: "text",
  tokenizer_output_tokens: "integer",
  first_chunk_tokens: "integer",
  first_chunk_share: "number",
  hidden_reasoning_tokens: "integer",
  usage_input_tokens: "count",
  usage_output_tokens: "count",
  usage_cached_input_tokens: "count",
  usage_reasoning_tokens: "count",
  retry_after_s: "number",
  rate_limit: "json",
  sampled: "boolean",
  expected: "integer",
  verdict: "text",
  generated_text: "text"
}

const known = new Map<string, Kind>(Object.entries(kinds))

const ofEveryRun = Object.keys(RequestRecord.fields)

/** The columns of every run, then those of what this record has besides. */
export const columnsOf = (first: Fields): ReadonlyArray<Column> => {
  const names = new Set([...ofEveryRun, ...Object.keys(first)])
  return [...names].map((name) => ({ name, kind: known.get(name) ?? "json" }))
}

const isFit = (kind: Kind, value: unknown): value is Cell => {
  switch (kind) {
    case "text":
      return typeof value === "string"
    case "number":
      return typeof value === "number"
    case "integer":
    case "count":
      return Number.isSafeInteger(value)
    case "boolean":
      return typeof value === "boolean"
    case "code":
      return typeof value === "string" || typeof value === "number"
    case "json":
      return true
  }
}

/** A value as JSON; `undefined` when it is nested too deep for that. */
export const jsonOf = (value: unknown): string | undefined => {
  try {
    return JSON.stringify(value)
  } catch {
    return undefined
  }
}

/** The cell of a value; `undefined` when the value is not of the column's kind. */
export const cellOf = (kind: Kind, value: unknown): Cell | undefined => {
  if (value === undefined || value === null) return null
  if (kind === "json") return jsonOf(value)
  if (!isFit(kind, value) || (kind === "count" && Number(value) < 0)) return kind === "count" ? null : undefined
  return kind === "code" ? String(value) : value
}
