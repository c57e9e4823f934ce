import { assert, describe, it } from "@effect/vitest"
import * as Messages from "./otlpMessages.ts"

const request = Messages.typeOf("collector.trace.v1.ExportTraceServiceRequest")

const span = {
  traceId: "0af7651916cd43dd8448eb211c80319c",
  spanId: "b7ad6b7169203331",
  name: "chat demo",
  kind: 3,
  startTimeUnixNano: "1795532221210070848",
  endTimeUnixNano: "1795532221746737078",
  attributes: [{ key: "n", value: { intValue: "5" } }],
  status: { code: 2, message: "m" }
}

const message = (changes: object) =>
  JSON.stringify({
    resourceSpans: [{ resource: {}, scopeSpans: [{ scope: { name: "s" }, spans: [{ ...span, ...changes }] }] }]
  })

describe("the strict reader of OTLP messages", () => {
  it("takes what is right", () => {
    const read = Messages.fromJson(request, message({}))
    assert.deepStrictEqual(read, JSON.parse(message({})))
    const bytes = Messages.toProtobuf(request, { resourceSpans: [{ schemaUrl: "x" }] })
    assert.deepStrictEqual(Messages.fromProtobuf(request, bytes), { resourceSpans: [{ schemaUrl: "x" }] })
  })

  it.each([
    ["a field that there is not", { spanKind: 3 }],
    ["names of protobuf", { start_time_unix_nano: "5" }],
    ["a number for 64 bits", { startTimeUnixNano: 1795532221 }],
    ["a number for an integer attribute", { attributes: [{ key: "n", value: { intValue: 5 } }] }],
    ["a text for a double", { attributes: [{ key: "n", value: { doubleValue: "0.5" } }] }],
    ["a value that there is not", { attributes: [{ key: "n", value: { textValue: "5" } }] }],
    ["the name of an enum", { kind: "SPAN_KIND_CLIENT" }],
    ["base64 ids", { traceId: "CvdlGRbNQ92ESOshHIAxnA==" }],
    ["short ids", { spanId: "b7ad6b71" }],
    ["null", { name: null }]
  ])("refuses %s", (_, changes) => {
    assert.throws(() => Messages.fromJson(request, message(changes)))
  })

  it("refuses bytes that there are not", () => {
    const bytes = Messages.toProtobuf(request, { resourceSpans: [{ schemaUrl: "x" }] })
    // Field 15, a varint
    assert.throws(() => Messages.fromProtobuf(request, Uint8Array.from([...bytes, 0x78, 1])))
    assert.throws(() => Messages.fromProtobuf(request, bytes.subarray(0, -1)))
  })
})
