import * as Record from "effect/Record"
import * as Result from "effect/Result"
import * as Histogram from "../Histogram.ts"
import type { ByteReader, ByteWriter } from "./bytes.ts"
import { Column, rate, seconds, tokens } from "./Column.ts"
import { ErrorTally } from "./ErrorTally.ts"
import { Flights } from "./Flights.ts"
import { Tally } from "./Tally.ts"
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

type Columns = ReturnType<typeof makeColumns>

/**
 * - `measuredFailures`: of the requests that are measured; those that llmperf cancelled are none
 * - `chunksTogether`: chunks that came together with the one before
 * - `requestSeconds`: the sum of the latencies of the requests that completed
 * - `tokensInChunks`, `chunksWithTokens`: of the requests whose tokens are known
 * - `cacheKnown`, `cacheableTokens`, `cachedTokens`: completed requests of which the server says how many input tokens were cached,
 *   these tokens and those
 * - `byServer`, `byTokenizer`: requests that completed, by whose count their tokens are; in a run one of them is 0
 * - `uncounted`: requests that completed and whose tokens are not known; `withoutContent`: those whose answer had nothing in it
 * - `vagueFirst`, `firstShares`: measured requests of which it is not known how many tokens came with the first chunk, and the sum of the
 *   shares that these may be
 */
const makeTotals = () => ({
  completed: 0,
  failed: 0,
  cancelled: 0,
  unsampled: 0,
  retried: 0,
  late: 0,
  measuredFailures: 0,
  chunksTogether: 0,
  outputTokens: 0,
  inputTokens: 0,
  chunks: 0,
  requestSeconds: 0,
  tokensInChunks: 0,
  chunksWithTokens: 0,
  byServer: 0,
  byTokenizer: 0,
  uncounted: 0,
  withoutContent: 0,
  vagueFirst: 0,
  firstShares: 0,
  hiddenReasoningTokens: 0,
  cacheKnown: 0,
  cacheableTokens: 0,
  cachedTokens: 0
})

/** Those that can be negative: a timer may be early. */
const signed = new Set<keyof Columns>(["dispatch_lag_s", "scheduled_ttft_s", "scheduled_end_to_end_latency_s"])
/** Those that take place within the run, in seconds. */
const within = new Set<keyof Columns>([
  "inter_token_latency_s",
  "sum_inter_token_latency_s",
  "mean_inter_token_latency_s",
  "ttft_s",
  "end_to_end_latency_s",
  "dispatch_lag_s",
  "scheduled_ttft_s",
  "scheduled_end_to_end_latency_s",
  "time_to_first_answer_s"
])
/** No number of a request is larger, in whatever unit. */
const MOST_VALUE = 1e12

// What is written as an unsigned 32-bit integer
const MOST = 2 ** 32 - 1

const columnNames = Record.keys(makeColumns(0))
const totalNames = Record.keys(makeTotals())

/** Everything that a summary in the making holds. */
export class SummaryParts {
  readonly limit: number
  readonly columns: Columns
  readonly flights: Flights
  readonly totals = makeTotals()
  /** Large: made when it is needed. */
  #gaps: Histogram.Histogram | null = null
  readonly errors = new ErrorTally()
  readonly finishReasons = new Tally()
  readonly usageOutput = new UsageTally()
  readonly usageInput = new UsageTally()

  constructor(limit: number) {
    this.limit = Math.min(limit, MOST)
    this.columns = makeColumns(this.limit)
    this.flights = new Flights(this.limit)
  }

  get gaps(): Histogram.Histogram {
    return (this.#gaps ??= Histogram.make())
  }

  get isExact(): boolean {
    return columnNames.every((name) => this.columns[name].isExact)
  }

  merge(that: SummaryParts): void {
    for (const name of columnNames) this.columns[name].append(that.columns[name])
    for (const name of totalNames) this.totals[name] += that.totals[name]
    if (that.#gaps !== null) Histogram.merge(this.gaps, that.#gaps)
    this.flights.append(that.flights)
    this.errors.append(that.errors)
    this.finishReasons.append(that.finishReasons)
    this.usageOutput.append(that.usageOutput)
    this.usageInput.append(that.usageInput)
  }

  /** Why these cannot be so many requests that ended within so many seconds after the start; `null` when they can. */
  misfit(requests: number, seconds: number): string | null {
    const { totals } = this
    const { cancelled, completed, failed, firstShares, requestSeconds, ...counts } = totals
    const isCounted = [completed, failed, cancelled, ...Object.values(counts)].every(
      (count) => Number.isSafeInteger(count) && count >= 0
    )
    const ended = completed + failed + cancelled
    if (!isCounted || ended !== requests) return `${ended} requests of ${requests}`
    if (Math.max(totals.unsampled, totals.late, totals.measuredFailures) > requests)
      return "more requests than there are"
    if (!(requestSeconds >= 0 && requestSeconds <= completed * seconds))
      return `latencies of ${requestSeconds} s in all`
    if (!(firstShares >= 0 && firstShares <= totals.vagueFirst)) return `first chunks of ${firstShares} answers`
    if (this.errors.total !== failed + cancelled) return `${this.errors.total} errors of ${failed + cancelled}`
    for (const name of columnNames) {
      const most = within.has(name) ? seconds : MOST_VALUE
      const problem = this.columns[name].misfit(requests, signed.has(name) ? -most : 0, most)
      if (problem !== null) return `${problem} (${name})`
    }
    const gaps = Histogram.count(this.gaps)
    const isPossible =
      gaps === 0 || ((Histogram.min(this.gaps) ?? 0) >= 0 && (Histogram.max(this.gaps) ?? 0) <= seconds)
    if (gaps > totals.chunks || !isPossible) return `${gaps} gaps between ${totals.chunks} chunks`
    return (
      this.flights.misfit(requests, seconds) ?? this.usageOutput.misfit(completed) ?? this.usageInput.misfit(completed)
    )
  }

  write(writer: ByteWriter): void {
    for (const name of totalNames) writer.double(this.totals[name])
    for (const name of columnNames) this.columns[name].write(writer)
    writer.bytes(Histogram.encode(this.gaps))
    this.flights.write(writer)
    this.errors.write(writer)
    this.finishReasons.write(writer)
    this.usageOutput.write(writer)
    this.usageInput.write(writer)
  }

  /** Reads into empty parts. */
  read(reader: ByteReader): void {
    for (const name of totalNames) this.totals[name] = reader.double()
    for (const name of columnNames) this.columns[name].read(reader)
    const gaps = Histogram.decode(reader.bytes())
    if (Result.isFailure(gaps)) reader.fail(gaps.failure.message)
    else this.#gaps = gaps.success
    this.flights.read(reader)
    this.errors.read(reader)
    this.finishReasons.read(reader)
    this.usageOutput.read(reader)
    this.usageInput.read(reader)
  }
}
