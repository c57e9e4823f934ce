import { EventStreamCodec } from "@smithy/eventstream-codec"
import { type MessageHeaders } from "@smithy/types"

/** Frames by AWS's own codec. */
export const awsCodec = new EventStreamCodec(
  (bytes) => (typeof bytes === "string" ? bytes : Buffer.from(bytes).toString("utf8")),
  (text) => Buffer.from(text)
)

export const text = (value: string) => ({ type: "string" as const, value })

export const frame = (headers: MessageHeaders, payload: string | Uint8Array = ""): Buffer =>
  Buffer.from(awsCodec.encode({ headers, body: Buffer.from(payload) }))

export const event = (type: string, payload: string | Uint8Array | object): Buffer =>
  frame(
    { ":event-type": text(type), ":content-type": text("application/json"), ":message-type": text("event") },
    typeof payload === "string" || payload instanceof Uint8Array ? payload : JSON.stringify(payload)
  )

export const exception = (type: string, payload: string | object): Buffer =>
  frame(
    { ":exception-type": text(type), ":content-type": text("application/json"), ":message-type": text("exception") },
    typeof payload === "string" ? payload : JSON.stringify(payload)
  )

/** A container's output in payload parts, cut every few bytes. */
export const payloadParts = (output: string | Buffer, partBytes: number): Buffer => {
  const bytes = Buffer.from(output)
  const parts: Array<Buffer> = []
  for (let at = 0; at < bytes.length; at += partBytes) {
    parts.push(event("PayloadPart", bytes.subarray(at, at + partBytes)))
  }
  return Buffer.concat(parts)
}
