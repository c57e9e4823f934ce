import { crc32 } from "node:zlib"

/** Frames of AWS's event streams, written byte for byte: https://smithy.io/2.0/aws/amazon-eventstream.html. */

export const contentType = "application/vnd.amazon.eventstream"

const stringType = 7

const header = (name: string, value: string): Buffer => {
  const nameBytes = Buffer.from(name)
  const valueBytes = Buffer.from(value)
  const length = Buffer.alloc(3)
  length.writeUInt8(stringType)
  length.writeUInt16BE(valueBytes.length, 1)
  return Buffer.concat([Buffer.from([nameBytes.length]), nameBytes, length, valueBytes])
}

export const frame = (headers: { readonly [name: string]: string }, payload: Uint8Array): Buffer => {
  const headerBytes = Buffer.concat(Object.entries(headers).map(([name, value]) => header(name, value)))
  const bytes = Buffer.alloc(12 + headerBytes.length + payload.length + 4)
  bytes.writeUInt32BE(bytes.length)
  bytes.writeUInt32BE(headerBytes.length, 4)
  bytes.writeUInt32BE(crc32(bytes.subarray(0, 8)), 8)
  bytes.set(headerBytes, 12)
  bytes.set(payload, 12 + headerBytes.length)
  bytes.writeUInt32BE(crc32(bytes.subarray(0, -4)), bytes.length - 4)
  return bytes
}

export const event = (type: string, payload: string, payloadType = "application/json"): Buffer =>
  frame({ ":event-type": type, ":content-type": payloadType, ":message-type": "event" }, Buffer.from(payload))

export const exception = (type: string, payload: object): Buffer =>
  frame(
    { ":exception-type": type, ":content-type": "application/json", ":message-type": "exception" },
    Buffer.from(JSON.stringify(payload))
  )

/** A frame whose last checksum is wrong. */
export const broken = (): Buffer => {
  const bytes = event("PayloadPart", "{}")
  bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 0xff, bytes.length - 1)
  return bytes
}
