/** What a collector answers: `ExportTraceServiceResponse` or `ExportMetricsServiceResponse`, or a `google.rpc.Status` when it refuses. */
import * as Schema from "effect/Schema"
import * as Option from "effect/Option"
import * as Text from "./text.ts"

/** `rejected`: how many spans or data points it did not take; `message`: what it says, `""` when it says nothing. */
export interface Answer {
  readonly rejected: number
  readonly message: string
}

const MOST_TEXT = 200

const decodeJson = Schema.decodeUnknownOption(
  Schema.fromJsonString(
    Schema.Struct({
      partialSuccess: Schema.optionalKey(
        Schema.NullOr(
          Schema.Struct({
            rejectedSpans: Schema.optionalKey(Schema.Union([Schema.Finite, Schema.FiniteFromString])),
            rejectedDataPoints: Schema.optionalKey(Schema.Union([Schema.Finite, Schema.FiniteFromString])),
            errorMessage: Schema.optionalKey(Schema.String)
          })
        )
      ),
      message: Schema.optionalKey(Schema.String)
    })
  )
)

/** The fields of a protobuf message: the last of each number, as far as the bytes can be read. */
const fieldsOf = (bytes: Uint8Array): Map<number, number | Uint8Array> => {
  const fields = new Map<number, number | Uint8Array>()
  let at = 0
  const varint = (): number => {
    let value = 0
    for (let factor = 1; at < bytes.length; factor *= 128) {
      const byte = bytes[at++] ?? 0
      value += (byte & 0x7f) * factor
      if (byte < 0x80) break
    }
    return value
  }
  while (at < bytes.length) {
    const tag = varint()
    const field = Math.floor(tag / 8)
    switch (tag % 8) {
      case 0:
        fields.set(field, varint())
        break
      case 2: {
        const length = varint()
        fields.set(field, bytes.subarray(at, at + length))
        at += length
        break
      }
      default:
        return fields
    }
  }
  return fields
}

const bytesIn = (fields: Map<number, number | Uint8Array>, field: number): Uint8Array => {
  const value = fields.get(field)
  return value instanceof Uint8Array ? value : new Uint8Array()
}

const textOf = (bytes: Uint8Array): string => {
  const line = Text.oneLine(new TextDecoder().decode(bytes))
  return line.length > MOST_TEXT ? `${line.slice(0, MOST_TEXT)}…` : line
}

const ofProtobuf = (bytes: Uint8Array, isFailure: boolean): Answer => {
  const fields = fieldsOf(bytes)
  if (isFailure) return { rejected: 0, message: textOf(bytesIn(fields, 2)) }
  const partial = fieldsOf(bytesIn(fields, 1))
  const rejected = partial.get(1)
  return { rejected: typeof rejected === "number" ? rejected : 0, message: textOf(bytesIn(partial, 2)) }
}

/** Reads the body of an answer. What is neither of the two formats is text: from a proxy, say. */
export const read = (options: {
  readonly bytes: Uint8Array
  readonly contentType: string
  readonly isFailure: boolean
}): Answer => {
  const { bytes, contentType, isFailure } = options
  if (contentType.startsWith("application/x-protobuf")) return ofProtobuf(bytes, isFailure)
  const json = decodeJson(new TextDecoder().decode(bytes))
  if (Option.isNone(json)) return { rejected: 0, message: isFailure ? textOf(bytes) : "" }
  const { message = "", partialSuccess } = json.value
  return {
    rejected: partialSuccess?.rejectedSpans ?? partialSuccess?.rejectedDataPoints ?? 0,
    message: textOf(new TextEncoder().encode(partialSuccess?.errorMessage ?? message))
  }
}
