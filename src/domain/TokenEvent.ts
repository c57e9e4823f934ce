/**
 * What a provider reports while it serves one request. A request is a stream of these.
 *
 * `at` is always nanoseconds on the monotonic clock of the `Clock` service, taken when the socket handed the bytes over.
 *
 * @since 0.1.0
 */

/**
 * How long the steps of opening a connection took, in nanoseconds. `tls` is 0 without TLS, `dns` is 0 for an address.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConnectionTiming {
  readonly dns: number
  readonly tcp: number
  readonly tls: number
}

/**
 * The request is being written to the socket. `connection` is present when a connection was opened for it.
 *
 * A second one means that the request is written again: a kept connection was lost before anything of an answer came
 * (`lostAfter`: so many nanoseconds after it was written there), or an option that the server refused was left out.
 *
 * @category models
 * @since 0.1.0
 */
export interface Sent {
  readonly _tag: "Sent"
  readonly at: number
  readonly connection: ConnectionTiming | null
  readonly lostAfter?: number | undefined
}

/**
 * The server rejected the credential (401); there is a new one, with which the request is written once more. What came before
 * belongs to the first attempt.
 *
 * @category models
 * @since 0.2.0
 */
export interface CredentialRenewed {
  readonly _tag: "CredentialRenewed"
  readonly at: number
}

/**
 * Status and headers of the answer arrived. `rateLimit` holds `retry-after` and every `x-ratelimit-*` and
 * `anthropic-ratelimit-*` header as sent, with the `llm_provider-` of a LiteLLM proxy before them or without.
 *
 * @category models
 * @since 0.1.0
 */
export interface ResponseStarted {
  readonly _tag: "ResponseStarted"
  readonly at: number
  readonly status: number
  readonly rateLimit: { readonly [name: string]: string } | null
}

/**
 * Where a piece of generated text belongs: the answer, the model's reasoning, or the arguments of a tool call.
 *
 * @category models
 * @since 0.1.0
 */
export type ContentKind = "text" | "reasoning" | "tool"

/**
 * One or more chunks of generated text of one kind, none of them empty: `text[i]` arrived at `at[i]`. A chunk is not a
 * token: it may carry several.
 *
 * Chunks come in columns, not as an event each, because this is the one part of the protocol that happens per token.
 *
 * @category models
 * @since 0.1.0
 */
export interface Content {
  readonly _tag: "Content"
  readonly kind: ContentKind
  readonly at: ReadonlyArray<number>
  readonly text: ReadonlyArray<string>
}

/**
 * The answer of an API that does not stream: all of its text at once. It has no first token and no gaps, only an end.
 *
 * @category models
 * @since 0.2.0
 */
export interface Whole {
  readonly _tag: "Whole"
  readonly at: number
  readonly text: string
}

/**
 * The server's own token counts; `null` where it did not say.
 *
 * @category models
 * @since 0.1.0
 */
export interface Usage {
  readonly _tag: "Usage"
  readonly at: number
  readonly inputTokens: number | null
  readonly outputTokens: number | null
  readonly cachedInputTokens: number | null
  readonly reasoningTokens: number | null
}

/**
 * The server said why it stopped (`stop`, `length`, …).
 *
 * @category models
 * @since 0.1.0
 */
export interface Finished {
  readonly _tag: "Finished"
  readonly at: number
  readonly reason: string
}

/**
 * The response stream ended properly. Always the last event of a request that did not fail.
 *
 * @category models
 * @since 0.1.0
 */
export interface Ended {
  readonly _tag: "Ended"
  readonly at: number
}

/**
 * @category models
 * @since 0.1.0
 */
export type TokenEvent = Sent | CredentialRenewed | ResponseStarted | Content | Whole | Usage | Finished | Ended
