/**
 * The seam between the socket and an API's wire format.
 *
 * A decoder is fed in the socket's data callback, so it must be quick and must not wait: it turns bytes into events and
 * adds them to a buffer. It is mutable and serves one response.
 *
 * @since 0.1.0
 */
import { type Reason } from "../../domain/LlmError.ts"
import { type EventBuffer } from "./EventBuffer.ts"

/**
 * - `push(bytes, at)`: bytes that arrived at `at` (ns). Returns the reason when the request has failed
 * - `pushPart(bytes, start, end, at)`: the same for the part from `start` to `end`, by a decoder that keeps no reference to
 *   `bytes`; others are given a copy
 * - `end(at)`: the body is over. Returns the reason when it ended too early
 * - `done`: the API's own end marker was seen, so that nothing more is expected
 *
 * @category models
 * @since 0.1.0
 */
export interface StreamDecoder {
  readonly push: (bytes: Buffer, at: number) => Reason | undefined
  readonly pushPart?: ((bytes: Buffer, start: number, end: number, at: number) => Reason | undefined) | undefined
  readonly end: (at: number) => Reason | undefined
  readonly done: boolean
}

/**
 * Makes the decoder of one response, which puts its events into `out`.
 *
 * @category models
 * @since 0.1.0
 */
export type MakeDecoder = (out: EventBuffer) => StreamDecoder
