/**
 * AWS event streams (`application/vnd.amazon.eventstream`): frames with headers, a payload and two checksums.
 *
 * Format: https://docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html and
 * https://smithy.io/2.0/aws/amazon-eventstream.html. This module cuts the bytes into frames; a codec, such as
 * `EventStreamCodec` of `@smithy/eventstream-codec`, checks and takes apart each.
 *
 * @since 0.2.0
 */
import { crc32 } from "node:zlib"
import * as LlmError from "../../domain/LlmError.ts"
import * as Json from "../internal/json.ts"
import { type StreamDecoder } from "./StreamDecoder.ts"

/**
 * Takes one whole frame apart. Throws when a checksum is wrong or the frame is not one.
 *
 * @category models
 * @since 0.2.0
 */
export interface Codec {
  readonly decode: (frame: Uint8Array) => Frame
}

/**
 * A frame: its headers, of which only those of type string are read, and its payload.
 *
 * @category models
 * @since 0.2.0
 */
export interface Frame {
  readonly headers: { readonly [name: string]: { readonly type: string; readonly value: unknown } }
  readonly body: Uint8Array
}

/**
 * What an API makes of its events.
 *
 * - `onEvent(type, payload, at)`: one event; returns the reason when it says that the request failed
 * - `atEnd(at)`: the body is over, with the last frame complete; returns the reason when it ended too early
 * - `isDone()`: whether nothing more is expected; what comes after it is ignored
 *
 * @category models
 * @since 0.2.0
 */
export interface EventHandler {
  readonly onEvent: (type: string, payload: Buffer, at: number) => LlmError.Reason | undefined
  readonly atEnd: (at: number) => LlmError.Reason | undefined
  readonly isDone: () => boolean
}

/**
 * Its media type.
 *
 * @category constants
 * @since 0.2.0
 */
export const mediaType = "application/vnd.amazon.eventstream"

/** Two lengths and their checksum. */
const preludeBytes = 12
/** A frame without headers and payload. */
const shortestFrame = 16
/** A payload has at most 16 MiB, the headers at most 128 KiB. */
const longestFrame = (16 * 1024 + 128) * 1024 + shortestFrame

const notAFrame = (why: string): LlmError.Protocol =>
  new LlmError.Protocol({ description: `Not an AWS event stream: ${why}` })

const textOf = (frame: Frame, name: string): string => {
  const header = frame.headers[name]
  return header?.type === "string" && typeof header.value === "string" ? header.value : ""
}

const firstText = (object: Json.JsonObject, ...names: ReadonlyArray<string>): string => {
  for (const name of names) {
    const text = Json.text(object[name])
    if (text !== undefined) return text
  }
  return ""
}

/** AWS names the shape of an error with what it is defined in before it and an address behind it. */
const shapeOf = (name: string): string => name.replace(/^.*#/, "").replace(/:.*$/, "")

const expired = /security token included in the request is expired/i

/**
 * Reads the error object of an AWS service: `{"message", "__type"}`, with other spellings of these, and the `ErrorCode` of
 * SageMaker. Most services name the error in the header `x-amzn-errortype` instead
 * (https://smithy.io/2.0/aws/protocols/aws-restjson1-protocol.html#operation-error-serialization). `undefined` when it is none.
 * That credentials have expired is said plainly: it is what ends long runs.
 *
 * @category decoding
 * @since 0.2.0
 */
export const errorOf = (
  body: string,
  headers: { readonly [name: string]: string | Array<string> | undefined } = {}
): LlmError.InStream | undefined => {
  const value = Json.parse(body)
  if (!Json.isObject(value)) return undefined
  const message = firstText(value, "message", "Message", "errorMessage")
  const named = headers["x-amzn-errortype"]
  const type = shapeOf(typeof named === "string" ? named : firstText(value, "__type", "code", "Code"))
  if (message === "" && type === "") return undefined
  const code = firstText(value, "ErrorCode", "errorCode") || type
  const isExpired = type.startsWith("ExpiredToken") || expired.test(message)
  const words = type === "" || message === "" ? message || type : `${type}: ${message}`
  return new LlmError.InStream({
    description: isExpired ? `The AWS credentials have expired and must be renewed (${words})` : words,
    code: code === "" ? null : code,
    type: type === "" ? null : type
  })
}

const exceptionOf = (frame: Frame, payload: Buffer): LlmError.InStream => {
  const type = textOf(frame, ":exception-type")
  const text = payload.toString("utf8")
  const error = errorOf(text)
  return new LlmError.InStream({
    description: error?.description ?? text,
    code: error?.code ?? (type === "" ? null : type),
    type: type === "" ? (error?.type ?? null) : type
  })
}

const unmodeledOf = (frame: Frame): LlmError.InStream => {
  const code = textOf(frame, ":error-code")
  return new LlmError.InStream({
    description: textOf(frame, ":error-message") || code,
    code: code === "" ? null : code,
    type: code === "" ? null : code
  })
}

/**
 * Whether a body of status 200 is such a stream: it has the type, or begins as every frame does, with the highest byte of
 * a length. JSON and web pages are none, whatever their type.
 *
 * @category decoding
 * @since 0.2.0
 */
export const accepts = (bytes: Buffer, contentType: string): boolean => {
  if (/^\s*[{[<]/.test(bytes.toString("latin1", 0, 64))) return false
  return bytes[0] === 0 || contentType.toLowerCase().startsWith(mediaType)
}

/** The length of the frame that begins at `from`, where its first bytes make sense. */
const lengthAt = (bytes: Buffer, from: number): number | LlmError.Reason => {
  const length = bytes.readUInt32BE(from)
  if (length < shortestFrame || length > longestFrame) return notAFrame(`a frame of ${length} bytes`)
  // A whole frame is checked by the codec; of half a frame nobody should wait for the rest in vain.
  if (bytes.length - from < length && crc32(bytes.subarray(from, from + 8)) !== bytes.readUInt32BE(from + 8)) {
    return notAFrame("the checksum of a frame's lengths is wrong")
  }
  return length
}

/**
 * Makes the decoder of one response. Frames of the types `exception` and `error` fail the request (`InStream`), broken
 * frames too (`Protocol`); a body that ends inside a frame is cut off (`Truncated`).
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = (codec: Codec, handler: EventHandler): StreamDecoder => {
  let parts: Array<Buffer> = []
  let held = 0
  /** How many bytes there must be before anything can be done. */
  let needed = preludeBytes

  const onFrame = (bytes: Buffer, at: number): LlmError.Reason | undefined => {
    let frame: Frame
    try {
      frame = codec.decode(bytes)
    } catch (error) {
      return notAFrame(error instanceof Error ? error.message : String(error))
    }
    const { body } = frame
    const payload = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
    switch (textOf(frame, ":message-type")) {
      case "event":
        return handler.onEvent(textOf(frame, ":event-type"), payload, at)
      case "exception":
        return exceptionOf(frame, payload)
      case "error":
        return unmodeledOf(frame)
      default:
        return notAFrame("a frame says neither that it is an event nor that it is an exception")
    }
  }

  const push = (bytes: Buffer, at: number): LlmError.Reason | undefined => {
    if (handler.isDone()) return undefined
    parts.push(bytes)
    held += bytes.length
    if (held < needed) return undefined
    const all = parts.length === 1 ? bytes : Buffer.concat(parts, held)
    let from = 0
    needed = preludeBytes
    while (!handler.isDone() && all.length - from >= preludeBytes) {
      const length = lengthAt(all, from)
      if (typeof length !== "number") return length
      if (all.length - from < length) {
        needed = length
        break
      }
      const reason = onFrame(all.subarray(from, from + length), at)
      if (reason !== undefined) return reason
      from += length
    }
    parts = from < all.length ? [all.subarray(from)] : []
    held = all.length - from
    return undefined
  }

  return {
    push,
    end: (at) =>
      held > 0 && !handler.isDone()
        ? new LlmError.Truncated({ description: "the stream ended in the middle of a frame" })
        : handler.atEnd(at),
    get done() {
      return handler.isDone()
    }
  }
}
