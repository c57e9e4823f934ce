import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import * as Answer from "../../../src/output/internal/otlpAnswer.ts"
import * as Messages from "../otlpMessages.ts"

const response = Messages.typeOf("collector.trace.v1.ExportTraceServiceResponse")

const json = (body: unknown, isFailure = false) =>
  Answer.read({
    bytes: new TextEncoder().encode(typeof body === "string" ? body : JSON.stringify(body)),
    contentType: "application/json",
    isFailure
  })

const protobuf = (bytes: Uint8Array, isFailure = false) =>
  Answer.read({ bytes, contentType: "application/x-protobuf", isFailure })

describe("what a collector answers", () => {
  it("is all well when it says nothing", () => {
    const well = { rejected: 0, message: "" }
    for (const body of [{}, { partialSuccess: {} }, { partialSuccess: null }, "", "ok", [], 5]) {
      assert.deepStrictEqual(json(body), well, JSON.stringify(body))
    }
    assert.deepStrictEqual(protobuf(new Uint8Array()), well)
  })

  it("may be that it rejected some, in either encoding", () => {
    const partialSuccess = { rejectedSpans: "3", errorMessage: "too old" }
    const answer = { rejected: 3, message: "too old" }
    assert.deepStrictEqual(json({ partialSuccess }), answer)
    assert.deepStrictEqual(json({ partialSuccess: { ...partialSuccess, rejectedSpans: 3 } }), answer)
    assert.deepStrictEqual(protobuf(Messages.toProtobuf(response, { partialSuccess })), answer)
    fc.assert(
      fc.property(fc.nat(), fc.string({ unit: "grapheme", maxLength: 40 }), (rejectedSpans, errorMessage) => {
        const read = protobuf(Messages.toProtobuf(response, { partialSuccess: { rejectedSpans, errorMessage } }))
        assert.strictEqual(read.rejected, rejectedSpans)
        assert.deepStrictEqual(read, json({ partialSuccess: { rejectedSpans, errorMessage } }))
      })
    )
  })

  it("may be a reason to refuse", () => {
    assert.strictEqual(json({ code: 16, message: "no such\nkey" }, true).message, "no such key")
    assert.strictEqual(json("<html>Bad Gateway</html>", true).message, "<html>Bad Gateway</html>")
    // google.rpc.Status { code: 3, message: "bad" }
    assert.strictEqual(protobuf(Uint8Array.of(0x08, 3, 0x12, 3, 0x62, 0x61, 0x64), true).message, "bad")
    assert.strictEqual(json("x".repeat(1_000), true).message, `${"x".repeat(200)}…`)
  })

  it("may be anything", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.boolean(), (bytes, isFailure) => {
        const { message, rejected } = protobuf(bytes, isFailure)
        assert.isAtLeast(rejected, 0)
        assert.isAtMost(message.length, 201)
      })
    )
  })
})
