import * as Record from "effect/Record"
import * as Result from "effect/Result"
import * as Histogram from "../Histogram.ts"
import type { ByteReader, ByteWriter } from "./bytes.ts"
import { Column, rate, seconds, tokens } from "./Column.ts"
import { ErrorTally } from "./ErrorTally.ts"
import { Flights } from "./Flights.ts"
import { UsageTally } from "./UsageTally.ts"

/** The numbers that have a distribution of their own. */
const makeColumns = (limit: number) => ({
  inter_token_latency_s: new Column(seconds, limit),
  sum_inter_token_latency_s: new Column(seconds, limit),
  mean_inter_token_latency_s: new Column(seconds, limit),
  ttft_s: new Column(seconds, limit),
  end_to_end_latency_s: new Column(seconds, limit),
  request_output_throughput_token_per_s: new Column(rate, limit),
  number_input_tokens: new Column(tokens, limit),
  number_output_tokens: new Column(tokens, limit),
  dispatch_lag_s: new Column(seconds, limit),
  scheduled_ttft_s: new Column(seconds, limit),
  scheduled_end_to_end_latency_s: new Column(seconds, limit),
  time_to_first_answer_s: new Column(seconds, limit),
  tokens_per_chunk: new Column(rate, limit),
  dns_s: new Column(seconds, limit),
  connect_s: new Column(seconds, limit),
  tls_s: new Column(seconds, limit)
})

/**
 * - `measuredErrors`: of the requests that are measured
 * - `requestSeconds`: the sum of the latencies of the requests that completed
 * - `tokensInChunks`, `chunksWithTokens`: of the requests whose tokens are known
 */
const makeTotals = () => ({
  completed: 0,
  failed: 0,
  cancelled: 0,
  unsampled: 0,
  late: 0,
  measuredErrors: 0,
  outputTokens: 0,
  inputTokens: 0,
  chunks: 0,
  requestSeconds: 0,
  tokensInChunks: 0,
  chunksWithTokens: 0
})

// What is written as an unsigned 32-bit integer
const MOST = 2 ** 32 - 1

const columnNames = Record.keys(makeColumns(0))
const totalNames = Record.keys(makeTotals())

/** Everything that a summary in the making holds. */
export class SummaryParts {
  readonly limit: number
  readonly columns: ReturnType<typeof makeColumns>
  readonly flights: Flights
  readonly totals = makeTotals()
  gaps = Histogram.make()
  readonly errors = new ErrorTally()
  readonly usageOutput = new UsageTally()
  readonly usageInput = new UsageTally()

  constructor(limit: number) {
    this.limit = Math.min(limit, MOST)
    this.columns = makeColumns(this.limit)
    this.flights = new Flights(this.limit)
  }

  get isExact(): boolean {
    return columnNames.every((name) => this.columns[name].isExact)
  }

  merge(that: SummaryParts): void {
    for (const name of columnNames) this.columns[name].append(that.columns[name])
    for (const name of totalNames) this.totals[name] += that.totals[name]
    Histogram.merge(this.gaps, that.gaps)
    this.flights.append(that.flights)
    this.errors.append(that.errors)
    this.usageOutput.append(that.usageOutput)
    this.usageInput.append(that.usageInput)
  }

  write(writer: ByteWriter): void {
    for (const name of totalNames) writer.double(this.totals[name])
    for (const name of columnNames) this.columns[name].write(writer)
    writer.bytes(Histogram.encode(this.gaps))
    this.flights.write(writer)
    this.errors.write(writer)
    this.usageOutput.write(writer)
    this.usageInput.write(writer)
  }

  /** Reads into empty parts. */
  read(reader: ByteReader): void {
    for (const name of totalNames) this.totals[name] = reader.double()
    for (const name of columnNames) this.columns[name].read(reader)
    const gaps = Histogram.decode(reader.bytes())
    if (Result.isFailure(gaps)) reader.fail(gaps.failure.message)
    else this.gaps = gaps.success
    this.flights.read(reader)
    this.errors.read(reader)
    this.usageOutput.read(reader)
    this.usageInput.read(reader)
  }
}
