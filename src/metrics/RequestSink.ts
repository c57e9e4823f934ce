/**
 * Folds the events of one request into what is measured of it.
 *
 * The measurement is filled while the events come, so that a request that fails or is cancelled keeps all that was seen
 * until then. The definitions are in `docs/metrics.md`.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Sink from "effect/Sink"
import { type LlmError } from "../domain/LlmError.ts"
import { type RequestOutcome, type RequestRecord } from "../domain/RequestRecord.ts"
import { type RequestPlan } from "../domain/RequestPlan.ts"
import { type TokenSource } from "../domain/TokenSource.ts"
import { type ContentKind, type Sent, type TokenEvent, type Usage } from "../domain/TokenEvent.ts"

/**
 * What is known of one request. Times are nanoseconds on the monotonic clock, `null` for what did not happen.
 *
 * - `intendedAt`: when it was due, or when its slot became free
 * - `text`: everything that was generated, piece by piece, reasoning and tool arguments included
 * - `parts`: where in `text` the pieces of another kind begin
 * - `chunkAt`: the arrival of every chunk with content
 * - `credentialRenewed`: whether it was written again with another credential, as the server had rejected the first
 * - `firstUsageTokens`, `lastUsageTokens`: the server's counts of output tokens at the moments of the first content and of the last,
 *   where it tells them then
 *
 * @category models
 * @since 0.1.0
 */
export interface Measurement {
  readonly plan: RequestPlan
  readonly intendedAt: number
  sent: Sent | null
  credentialRenewed: boolean
  status: number | null
  rateLimit: { readonly [name: string]: string } | null
  firstAnswerAt: number | null
  chunkAt: Array<number>
  text: Array<string>
  parts: Array<{ readonly kind: ContentKind; readonly from: number }>
  usage: Usage | null
  firstUsageTokens: number | null
  lastUsageTokens: number | null
  finishReason: string | null
  endedAt: number | null
  error: LlmError | null
}

/**
 * @category constructors
 * @since 0.1.0
 */
export const makeMeasurement = (plan: RequestPlan, intendedAt: number): Measurement => ({
  plan,
  intendedAt,
  sent: null,
  credentialRenewed: false,
  status: null,
  rateLimit: null,
  firstAnswerAt: null,
  chunkAt: [],
  text: [],
  parts: [],
  usage: null,
  firstUsageTokens: null,
  lastUsageTokens: null,
  finishReason: null,
  endedAt: null,
  error: null
})

/**
 * Adds one event. A second `Sent` means that the request was written again (its connection was lost, a refused option left
 * out, a credential renewed): what belonged to the first attempt is forgotten.
 *
 * @category folding
 * @since 0.1.0
 */
export const add = (measurement: Measurement, event: TokenEvent): void => {
  switch (event._tag) {
    case "Content": {
      begin(measurement, event.kind)
      for (const at of event.at) measurement.chunkAt.push(at)
      measurement.lastUsageTokens = null
      for (const text of event.text) measurement.text.push(text)
      if (event.kind !== "reasoning") measurement.firstAnswerAt ??= event.at[0] ?? null
      break
    }
    case "Whole":
      begin(measurement, "text")
      measurement.text.push(event.text)
      break
    case "Sent":
      Object.assign(measurement, makeMeasurement(measurement.plan, measurement.intendedAt), {
        sent: event,
        credentialRenewed: measurement.credentialRenewed
      })
      break
    case "CredentialRenewed":
      measurement.credentialRenewed = true
      break
    case "ResponseStarted":
      measurement.status = event.status
      measurement.rateLimit = event.rateLimit
      break
    case "Usage":
      measurement.usage = event
      if (event.at === measurement.chunkAt[0]) measurement.firstUsageTokens = event.outputTokens
      if (event.at === measurement.chunkAt.at(-1)) measurement.lastUsageTokens = event.outputTokens
      break
    case "Finished":
      // After a refusal the end is one like any other
      if (measurement.finishReason !== "refusal" || event.reason !== "stop") measurement.finishReason = event.reason
      break
    case "Ended":
      measurement.endedAt = event.at
      break
  }
}

const begin = ({ parts, text }: Measurement, kind: ContentKind): void => {
  if (parts.at(-1)?.kind !== kind) parts.push({ kind, from: text.length })
}

/**
 * What was generated as the answer itself: the text without reasoning and without the arguments of tools.
 *
 * @category reading
 * @since 0.2.0
 */
export const answerOf = ({ parts, text }: Measurement): string =>
  parts.map(({ from, kind }, i) => (kind === "text" ? text.slice(from, parts[i + 1]?.from).join("") : "")).join("")

/**
 * What had been generated when the first content arrived: the text of all chunks of that moment.
 *
 * @category reading
 * @since 0.2.0
 */
export const firstOf = (measurement: Measurement): string =>
  measurement.text.slice(0, chunksOfFirst(measurement)).join("")

/** How many chunks came at the moment of the first. */
const chunksOfFirst = ({ chunkAt }: Measurement): number => {
  let chunks = 0
  while (chunks < chunkAt.length && chunkAt[chunks] === chunkAt[0]) chunks++
  return chunks
}

/**
 * Whether it takes the tokenizer to tell how many tokens came at the moment of the first, where the server counts: it says how many
 * there are in all and not how many then, and chunks hold several.
 *
 * @category reading
 * @since 0.2.0
 */
export const isFirstUnknown = (measurement: Measurement): boolean => {
  const { first, last } = countedByServer(measurement, hiddenReasoningOf(measurement))
  if (first !== null || last === null) return false
  const { least, most } = boundsOfFirst(measurement, last)
  return least < most
}

/** Every chunk holds a token at least: the least and the most that can have come at the moment of the first, of so many in all. */
const boundsOfFirst = (measurement: Measurement, tokens: number): { readonly least: number; readonly most: number } => {
  const chunks = chunksOfFirst(measurement)
  const later = measurement.chunkAt.length - chunks
  const most = Math.max(1, tokens - later)
  return { least: later === 0 ? most : Math.min(Math.max(1, chunks), most), most }
}

/** The tokenizer and the server agree on an answer when their counts differ by no more than this share of the server's, or by one token. */
const AGREEMENT = 0.05

const agree = (tokenizer: number, server: number): boolean =>
  Math.abs(tokenizer - server) <= Math.max(1, AGREEMENT * server)

/** What came at the moment of the first, of so many tokens by the server, as far as chunks and the tokenizer tell; `null` when they do not. */
const estimatedFirst = (measurement: Measurement, tokens: TokenizerCounts, last: number): number | null => {
  const { chunkAt } = measurement
  if (chunkAt.length === 0 || last < chunkAt.length) return null
  const { least, most } = boundsOfFirst(measurement, last)
  if (least === most) return least
  const { first, output } = tokens
  if (first === null || output === null || output === 0 || !agree(output, last)) return null
  return Math.min(most, Math.max(least, Math.round((first * last) / output)))
}

/** Reasoning that the server counted and kept to itself: all of it, unless reasoning was streamed. `null` when it says nothing of it. */
const hiddenReasoningOf = ({ parts, usage }: Measurement): number | null => {
  if (usage === null || usage.reasoningTokens === null) return null
  return parts.some(({ kind }) => kind === "reasoning") ? 0 : Math.min(usage.reasoningTokens, usage.outputTokens ?? 0)
}

/**
 * The tokens of what was streamed, of what came at the moment of the first, and of what had come at the moment of the last, by
 * whoever counts. A server counts the mark of the end too, which comes after the last content.
 */
const countedBy = (
  measurement: Measurement,
  hidden: number | null,
  { source, tokens }: { readonly source: TokenSource | null; readonly tokens: TokenizerCounts }
): TokenizerCounts & { readonly last: number | null } => {
  switch (source) {
    case "server": {
      const { first, last, output } = countedByServer(measurement, hidden)
      return { output, last, first: first ?? (last === null ? null : estimatedFirst(measurement, tokens, last)) }
    }
    case "tokenizer":
      return { ...tokens, last: tokens.output }
    case null:
      return { output: null, first: null, last: null }
  }
}

/** What the server itself tells. */
const countedByServer = (measurement: Measurement, hidden: number | null) => {
  const output = minus(measurement.usage?.outputTokens ?? null, hidden)
  const last = minus(measurement.lastUsageTokens, hidden)
  return {
    output,
    first: minus(measurement.firstUsageTokens, hidden),
    last: last !== null && last !== output ? last : output === null ? null : output - endMarkOf(measurement, output)
  }
}

/** The share of the tokens that came at the moment of the first: by the tokenizer, or by chunks where it has not counted. */
const shareOfFirst = (measurement: Measurement, { first, output }: TokenizerCounts): number =>
  first === null || output === null || output === 0
    ? chunksOfFirst(measurement) / measurement.chunkAt.length
    : first / output

/** How servers say that a model has come to its end by itself. */
const BY_ITSELF = /^(stop|eos_token)$/i

/** The mark of the end is a token that has no chunk: it shows where every other token had one. */
const endMarkOf = ({ chunkAt, finishReason }: Measurement, output: number): 0 | 1 =>
  finishReason !== null && BY_ITSELF.test(finishReason) && output === chunkAt.length + 1 ? 1 : 0

const minus = (tokens: number | null, hidden: number | null): number | null =>
  tokens === null ? null : Math.max(0, tokens - (hidden ?? 0))

/**
 * The sink of one request: `Stream.run(provider.stream(plan), into(measurement))`. `onBatch` is called after every batch
 * of events, with the number of chunks there were before it.
 *
 * @category folding
 * @since 0.1.0
 */
export const into = (
  measurement: Measurement,
  onBatch?: (measurement: Measurement, chunksBefore: number) => void
): Sink.Sink<void, TokenEvent> =>
  Sink.forEachArray((events) => {
    const before = measurement.chunkAt.length
    for (const event of events) add(measurement, event)
    onBatch?.(measurement, before)
    return Effect.void
  })

/**
 * The start of a run on both clocks: monotonic nanoseconds, and the epoch seconds of the same moment.
 *
 * @category models
 * @since 0.1.0
 */
export interface RunStart {
  readonly monotonicNanos: number
  readonly epochSeconds: number
}

const seconds = (from: number | null | undefined, to: number | null | undefined): number | null =>
  from === null || from === undefined || to === null || to === undefined ? null : (to - from) / 1e9

const ratio = (numerator: number, denominator: number | null): number | null =>
  denominator === null || denominator <= 0 ? null : numerator / denominator

/**
 * What the tokenizer counts: `output`, the tokens of all that was generated, and `first`, of `firstOf`; `null` when they could not be
 * counted.
 *
 * @category models
 * @since 0.2.0
 */
export interface TokenizerCounts {
  readonly output: number | null
  readonly first: number | null
}

/**
 * Makes the row of a finished request.
 *
 * - `source`: whose count of tokens leads, `null` when that is not decided: output tokens are then unknown. Nothing at all is no
 *   tokens, whoever counts
 * - `inter_token_latency_s` = (last − first content) / (tokens at the moment of the last − tokens at the moment of the first): all
 *   output tokens and one, where these are not known; `null` when no token came later
 *   Where the server counts and does not say how many came first, they are the tokenizer's count of these, scaled to the server's tokens, if
 *   both agree on the answer; if not, they are taken for one per chunk
 * - a request that never reached the socket has no `sent_offset_s`, no lag and no latencies
 *
 * @category conversions
 * @since 0.1.0
 */
export const toOutcome = (
  measurement: Measurement,
  options: {
    readonly source: TokenSource | null
    readonly tokens: TokenizerCounts
    readonly start: RunStart
    readonly xRequestId: string | null
  }
): RequestOutcome => {
  const { plan, chunkAt, error, usage } = measurement
  const { source, start, tokens } = options
  const hidden = hiddenReasoningOf(measurement)
  const counted = countedBy(measurement, hidden, options)
  const isNothing = error !== null && measurement.text.every((text) => text === "")
  const outputTokens = counted.output ?? (isNothing ? 0 : null)
  const sentAt = measurement.sent?.at ?? null
  const endedAt = measurement.endedAt ?? chunkAt.at(-1) ?? sentAt ?? measurement.intendedAt
  const first = chunkAt[0]
  const last = chunkAt.at(-1)

  const gaps = new Float64Array(Math.max(0, chunkAt.length - 1))
  let largest = 0
  for (let i = 0; i < gaps.length; i++) {
    const gap = ((chunkAt[i + 1] ?? 0) - (chunkAt[i] ?? 0)) / 1e9
    gaps[i] = gap
    if (gap > largest) largest = gap
  }

  const offset = (at: number): number => (at - start.monotonicNanos) / 1e9
  const latency = seconds(sentAt, endedAt)
  const generation = seconds(first, last)
  const firstTokens = counted.first === null ? null : Math.max(1, counted.first)
  const isVague = source === "server" && firstTokens === null && isFirstUnknown(measurement)
  const perToken =
    generation === null || counted.last === null
      ? null
      : ratio(
          generation,
          counted.last - (firstTokens ?? (isVague ? boundsOfFirst(measurement, counted.last).least : 1))
        )
  const connection = measurement.sent?.connection ?? null
  const lostAfter = measurement.sent?.lostAfter
  const reason = error?.reason
  const retryAfter = reason !== undefined && "retryAfterSeconds" in reason ? reason.retryAfterSeconds : null

  const record: RequestRecord = {
    error_code: error === null ? null : error.errorCode,
    error_msg: error === null ? "" : error.message,
    inter_token_latency_s: perToken,
    sum_inter_token_latency_s: generation,
    mean_inter_token_latency_s: perToken,
    ttft_s: seconds(sentAt, first),
    end_to_end_latency_s: latency,
    start_time: sentAt === null ? null : start.epochSeconds + offset(sentAt),
    end_time: start.epochSeconds + offset(endedAt),
    request_output_throughput_token_per_s: outputTokens === null ? null : ratio(outputTokens, latency),
    number_total_tokens: outputTokens === null ? null : plan.inputTokens + outputTokens,
    number_output_tokens: outputTokens,
    number_input_tokens: plan.inputTokens,
    request_id: plan.id,
    x_request_id: options.xRequestId,
    error_reason: reason?._tag ?? null,
    status: measurement.status,
    finish_reason: measurement.finishReason,
    target_input_tokens: plan.targetInputTokens,
    target_output_tokens: plan.outputTokens,
    intended_offset_s: offset(measurement.intendedAt),
    sent_offset_s: sentAt === null ? null : offset(sentAt),
    end_offset_s: offset(endedAt),
    dispatch_lag_s: seconds(measurement.intendedAt, sentAt),
    scheduled_ttft_s: seconds(measurement.intendedAt, first),
    scheduled_end_to_end_latency_s: sentAt === null ? null : seconds(measurement.intendedAt, endedAt),
    time_to_first_answer_s: seconds(sentAt, measurement.firstAnswerAt),
    dns_s: connection === null ? null : connection.dns / 1e9,
    connect_s: connection === null ? null : connection.tcp / 1e9,
    tls_s: connection === null ? null : connection.tls / 1e9,
    ...(lostAfter === undefined ? {} : { connection_retry_s: lostAfter / 1e9 }),
    number_chunks: chunkAt.length,
    tokens_per_chunk: outputTokens === null || chunkAt.length === 0 ? null : outputTokens / chunkAt.length,
    max_inter_chunk_latency_s: gaps.length === 0 ? null : largest,
    token_source: source,
    tokenizer_output_tokens: tokens.output,
    first_chunk_tokens: first === undefined ? null : firstTokens,
    ...(isVague ? { first_chunk_share: shareOfFirst(measurement, tokens) } : {}),
    hidden_reasoning_tokens: hidden,
    usage_input_tokens: usage?.inputTokens ?? null,
    usage_output_tokens: usage?.outputTokens ?? null,
    usage_cached_input_tokens: usage?.cachedInputTokens ?? null,
    usage_reasoning_tokens: usage?.reasoningTokens ?? null,
    retry_after_s: retryAfter,
    rate_limit: measurement.rateLimit,
    sampled: plan.sampled,
    ...(measurement.credentialRenewed ? { credential_renewed: true } : {})
  }
  return { record, interChunkSeconds: gaps }
}
