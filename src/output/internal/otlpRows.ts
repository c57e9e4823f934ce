/**
 * What spans need of records, packed: numbers in one array and the texts beside it, which go to another thread at next to no
 * cost.
 */
import * as Schema from "effect/Schema"
import { type RequestRecord } from "../../domain/RequestRecord.ts"

/** Numbers of a record, in this order; `NaN` stands for `null`. */
const numbers = [
  "request_id",
  "start_time",
  "end_time",
  "ttft_s",
  "end_to_end_latency_s",
  "intended_offset_s",
  "end_offset_s",
  "dispatch_lag_s",
  "scheduled_ttft_s",
  "inter_token_latency_s",
  "max_inter_chunk_latency_s",
  "time_to_first_answer_s",
  "dns_s",
  "connect_s",
  "tls_s",
  "connection_retry_s",
  "retry_after_s",
  "status",
  "target_output_tokens",
  "number_input_tokens",
  "number_output_tokens",
  "number_chunks",
  "usage_input_tokens",
  "usage_output_tokens",
  "usage_cached_input_tokens",
  "usage_reasoning_tokens"
] as const satisfies ReadonlyArray<keyof RequestRecord>

/** Texts of a record; where they stand among the texts is a number like the others. */
const texts = [
  "x_request_id",
  "finish_reason",
  "error_reason",
  "error_code",
  "error_msg"
] as const satisfies ReadonlyArray<keyof RequestRecord>

type NumberKey = (typeof numbers)[number]
type TextKey = (typeof texts)[number]

const textsFrom = numbers.length
const sampledAt = textsFrom + texts.length
const width = sampledAt + 1

/** Of a message of an error, which may be a page that a server sent. */
const MOST_TEXT = 1_024

export const Packed = Schema.Struct({ numbers: Schema.instanceOf(Float64Array), texts: Schema.Array(Schema.String) })

export interface Packed extends Schema.Schema.Type<typeof Packed> {}

/** Packs records. The buffer of the numbers is their own, to be handed over. */
export const pack = (
  records: ReadonlyArray<RequestRecord>
): Packed & { readonly numbers: Float64Array<ArrayBuffer> } => {
  const memory = new Float64Array(records.length * width)
  const filled: Array<string> = []
  const known = new Map<string, number>()

  const place = (text: string): number => {
    const found = known.get(text)
    if (found !== undefined) return found
    known.set(text, filled.length)
    filled.push(text)
    return filled.length - 1
  }

  let at = 0
  for (const record of records) {
    for (const key of numbers) memory[at++] = record[key] ?? Number.NaN
    for (const key of texts) {
      const value = record[key]
      memory[at++] = value === null || value === "" ? Number.NaN : place(String(value).slice(0, MOST_TEXT))
    }
    memory[at++] = record.sampled ? 1 : 0
  }
  return { numbers: memory, texts: filled }
}

const numberAt = new Map<NumberKey, number>(numbers.map((key, at) => [key, at]))
const textAt = new Map<TextKey, number>(texts.map((key, at) => [key, textsFrom + at]))

/** A record, as far as it was packed. */
export class Row {
  readonly #packed: Packed
  readonly #from: number

  constructor(packed: Packed, index: number) {
    this.#packed = packed
    this.#from = index * width
  }

  #at(offset: number | undefined): number | null {
    const value = offset === undefined ? undefined : this.#packed.numbers[this.#from + offset]
    return value === undefined || !Number.isFinite(value) ? null : value
  }

  number(key: NumberKey): number | null {
    return this.#at(numberAt.get(key))
  }

  text(key: TextKey): string | null {
    const index = this.#at(textAt.get(key))
    return index === null ? null : (this.#packed.texts[index] ?? null)
  }

  get sampled(): boolean {
    return this.#at(sampledAt) === 1
  }
}

export const rows = (packed: Packed): ReadonlyArray<Row> =>
  Array.from({ length: packed.numbers.length / width }, (_, index) => new Row(packed, index))
