/** An answer that is given at once and whole. */
export interface Answer {
  readonly status: number
  readonly headers: { readonly [name: string]: string }
  readonly body: string
}

/**
 * A wire format that the server speaks beside OpenAI's completions: how a request of it is read, and how an answer is
 * written. What the model says and when, and what goes wrong, is the server's matter and the same for all of them.
 */
export interface Dialect {
  readonly name: string
  /** Whether requests to this path (without its query) are in this format. */
  readonly matches: (method: string, path: string) => boolean
  /** Reads a request; what is wrong with it is answered at once. */
  readonly read: (incoming: Incoming) => Asked | Answer
  /** The writer of one streamed answer. */
  readonly frames: (asked: Asked, identity: Identity) => Frames
  /** An answer in one body, for requests that do not stream. */
  readonly whole: (asked: Asked, identity: Identity, words: Words, ending: Ending) => Answer
  /** An error in this format. `type` is the word of Anthropic's list that is nearest: dialects translate it. */
  readonly error: (status: number, type: ErrorType, message: string) => Answer
  /** The answer to a key that is no longer good, in formats that tell it from a wrong one; else an error 401. */
  readonly expired?: () => Answer
}

export type ErrorType =
  | "invalid_request_error"
  | "authentication_error"
  | "not_found_error"
  | "rate_limit_error"
  | "api_error"
  | "overloaded_error"

/** A request as it came; header names are in lower case. */
export interface Incoming {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: { readonly [name: string]: string }
  readonly body: Buffer
}

/**
 * - `model`: with its settings behind `;` if it has any
 * - `prompt`: the text of the whole request
 * - `outputTokens`: the most that may be written, `undefined` when it does not say
 */
export interface Asked {
  readonly model: string
  readonly stream: boolean
  readonly prompt: string
  readonly outputTokens: number | undefined
}

export interface Identity {
  readonly promptTokens: number
  /** Requests are numbered from 1. */
  readonly ordinal: number
  /** The model without its settings. */
  readonly model: string
  readonly createdSeconds: number
}

export type Data = string | Uint8Array

export type ContentKind = "text" | "reasoning" | "tool"

/** `length`: as many tokens as were asked for; `stop`: fewer; `tool`: it ends with a call of a tool. */
export type Reason = "length" | "stop" | "tool"

export interface Ending {
  readonly reason: Reason
  readonly promptTokens: number
  readonly completionTokens: number
  readonly reasoningTokens: number
}

export interface Words {
  readonly text: string
  readonly reasoning: string
  readonly tool: string
}

/** The body of a streamed answer, piece by piece. It may keep state: each answer has its own. */
export interface Frames {
  readonly contentType: string
  /** Headers of the answer beside its type, in lower case. */
  readonly headers?: { readonly [name: string]: string }
  /** What comes before the first content. */
  readonly opening: () => Data
  readonly content: (kind: ContentKind, text: string) => Data
  /** All that ends a good answer: reason, usage, end mark. */
  readonly finish: (ending: Ending) => Data
  /** An error in the middle of a stream; the stream ends after it. */
  readonly failure: (type: ErrorType, message: string) => Data
  /** Something that a reader of this format cannot understand. */
  readonly garbage: () => Data
  /** A sign of life without content, where the format has one. */
  readonly ping: () => Data
}

export const isAnswer = (read: Asked | Answer): read is Answer => "status" in read

/** The list of formats beside OpenAI's completions. */
export interface Dialects extends ReadonlyArray<Dialect> {}

export const joined = (...parts: ReadonlyArray<Data>): Data =>
  parts.every((part) => typeof part === "string")
    ? parts.join("")
    : Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(part) : part)))
