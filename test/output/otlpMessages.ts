/**
 * Strict reading of OTLP messages: by OpenTelemetry's own protobuf definitions (the generated code of
 * `@opentelemetry/otlp-transformer`), and by the rules of its JSON encoding
 * (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding).
 */
import { createRequire } from "node:module"
import { deepStrictEqual } from "node:assert"
import * as Predicate from "effect/Predicate"

/** A message type of the definitions, as far as it is used here. */
interface MessageType {
  readonly fromObject: (object: object) => object
  readonly toObject: (message: object, options: object) => object
  readonly encode: (message: object) => { readonly finish: () => Uint8Array }
  readonly decode: (bytes: Uint8Array) => object
}

const isMessageType = (value: unknown): value is MessageType =>
  Predicate.isFunction(value) &&
  ["fromObject", "toObject", "encode", "decode"].every((name) => Predicate.isFunction(Reflect.get(value, name)))

const definitions: unknown = createRequire(import.meta.url)(
  "@opentelemetry/otlp-transformer/build/src/generated/root.js"
)

/** `typeOf("collector.trace.v1.ExportTraceServiceRequest")` */
export const typeOf = (name: string): MessageType => {
  const found = `opentelemetry.proto.${name}`
    .split(".")
    .reduce<unknown>((space, part) => (Predicate.hasProperty(space, part) ? space[part] : undefined), definitions)
  if (!isMessageType(found)) throw new Error(`there is no message ${name}`)
  return found
}

export class Malformed extends Error {}

const idBytes: { readonly [key: string]: number } = { traceId: 16, spanId: 8, parentSpanId: 8 }

/** A copy of a JSON value in which every property went through `change`. */
const changed = (value: unknown, change: (key: string, value: unknown) => unknown): unknown => {
  if (Array.isArray(value)) return value.map((item) => changed(item, change))
  if (!Predicate.isObject(value) || value instanceof Uint8Array) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, changed(change(key, item), change)]))
}

/** Ids are hexadecimal, not base64 as protobuf has it elsewhere. */
const fromHex = (key: string, value: unknown): unknown => {
  const length = idBytes[key]
  if (length === undefined) return value
  if (typeof value !== "string" || !new RegExp(`^[0-9a-f]{${2 * length}}$`, "i").test(value)) {
    throw new Malformed(`${key} is ${JSON.stringify(value)}, not ${length} bytes in hexadecimal`)
  }
  return new Uint8Array(Buffer.from(value, "hex"))
}

const toHex = (key: string, value: unknown): unknown =>
  idBytes[key] !== undefined && value instanceof Uint8Array ? Buffer.from(value).toString("hex") : value

/** An empty list and none are the same message. */
const withoutEmptyLists = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(withoutEmptyLists)
  if (!Predicate.isObject(value) || value instanceof Uint8Array) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, item]) => !(Array.isArray(item) && item.length === 0))
      .map(([key, item]) => [key, withoutEmptyLists(item)])
  )
}

/** 64-bit integers are texts, enums numbers, bytes stay bytes. */
const plain = (type: MessageType, message: object): unknown =>
  changed(type.toObject(message, { longs: String, bytes: undefined }), toHex)

/**
 * Reads the JSON of a message. Refused is whatever the definitions would not write themselves: a field that they do not have,
 * a value of another type, a number where there must be a text.
 */
export const fromJson = (type: MessageType, text: string): unknown => {
  const json: unknown = JSON.parse(text)
  const withBytes = changed(json, fromHex)
  if (!Predicate.isObject(withBytes)) throw new Malformed("the message is no object")
  const message = type.fromObject(withBytes)
  const canonical = plain(type, message)
  try {
    deepStrictEqual(withoutEmptyLists(json), canonical)
    deepStrictEqual(plain(type, type.decode(type.encode(message).finish())), canonical)
  } catch (error) {
    throw new Malformed(`not as the definitions have it: ${error instanceof Error ? error.message : ""}`, {
      cause: error
    })
  }
  return canonical
}

/** Reads the bytes of a message. Bytes that the definitions would not write themselves, such as unknown fields, are refused. */
export const fromProtobuf = (type: MessageType, bytes: Uint8Array): unknown => {
  const message = type.decode(bytes)
  if (!Buffer.from(type.encode(message).finish()).equals(bytes)) {
    throw new Malformed("bytes that the definitions do not have")
  }
  return plain(type, message)
}

export const toProtobuf = (type: MessageType, object: object): Uint8Array =>
  type.encode(type.fromObject(object)).finish()
