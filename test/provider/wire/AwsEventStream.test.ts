import { assert, describe, it } from "@effect/vitest"
import { type MessageHeaderValue } from "@smithy/types"
import { Int64 } from "@smithy/eventstream-codec"
import * as fc from "fast-check"
import { type Reason } from "../../../src/domain/LlmError.ts"
import * as AwsEventStream from "../../../src/provider/wire/AwsEventStream.ts"
import * as aws from "./awsStreams.ts"
import * as bodies from "./bodies.ts"

interface Result {
  readonly events: ReadonlyArray<readonly [type: string, payload: string, at: number]>
  readonly reason: Reason | undefined
}

/** Decodes pieces, of which the n-th arrives at time n. An event `last` is the last. */
const decode = (pieces: ReadonlyArray<Buffer>): Result => {
  const events: Array<readonly [string, string, number]> = []
  let done = false
  const decoder = AwsEventStream.make(aws.awsCodec, {
    onEvent: (type, payload, at) => {
      events.push([type, payload.toString("hex"), at])
      if (type === "last") done = true
      return undefined
    },
    atEnd: () => undefined,
    isDone: () => done
  })
  let at = 0
  for (const piece of pieces) {
    const reason = decoder.push(piece, ++at)
    if (reason !== undefined) return { events, reason }
  }
  return { events, reason: decoder.end(at) }
}

const headerValue: fc.Arbitrary<MessageHeaderValue> = fc.oneof(
  fc.boolean().map((value) => ({ type: "boolean" as const, value })),
  fc.integer({ min: -128, max: 127 }).map((value) => ({ type: "byte" as const, value })),
  fc.integer({ min: -32768, max: 32767 }).map((value) => ({ type: "short" as const, value })),
  fc.integer().map((value) => ({ type: "integer" as const, value })),
  fc.maxSafeInteger().map((value) => ({ type: "long" as const, value: Int64.fromNumber(value) })),
  fc.uint8Array({ maxLength: 9 }).map((value) => ({ type: "binary" as const, value })),
  fc.string({ maxLength: 9 }).map((value) => ({ type: "string" as const, value })),
  fc.date({ noInvalidDate: true }).map((value) => ({ type: "timestamp" as const, value })),
  fc.uuid().map((value) => ({ type: "uuid" as const, value }))
)

const someEvent = fc
  .tuple(
    fc.constantFrom("PayloadPart", "contentBlockDelta", "é"),
    fc.uint8Array({ maxLength: 40 }),
    fc.dictionary(fc.stringMatching(/^[a-z-]{1,9}$/), headerValue, { maxKeys: 4 })
  )
  .map(([type, payload, extra]) => ({
    type,
    payload: Buffer.from(payload).toString("hex"),
    bytes: aws.frame({ ...extra, ":event-type": aws.text(type), ":message-type": aws.text("event") }, payload)
  }))

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(" ", ""), "hex")

const anEvent = aws.event("PayloadPart", "hello")

describe("AwsEventStream.make", () => {
  it("gives the events that were written, wherever the bytes are cut", () => {
    fc.assert(
      fc.property(fc.array(someEvent, { maxLength: 5 }), bodies.cuts, (events, cuts) => {
        const { events: decoded, reason } = decode(bodies.cut(Buffer.concat(events.map(({ bytes }) => bytes)), cuts))
        assert.isUndefined(reason)
        assert.deepStrictEqual(
          decoded.map(([type, payload]) => [type, payload]),
          events.map(({ payload, type }) => [type, payload])
        )
      }),
      { numRuns: 300 }
    )
  })

  it("stamps an event with the arrival of its last byte", () => {
    const { events } = decode([anEvent.subarray(0, 20), anEvent.subarray(20), Buffer.concat([anEvent, anEvent])])
    assert.deepStrictEqual(
      events.map(([, , at]) => at),
      [2, 3, 3]
    )
  })

  it("tells of a body that is cut off anywhere, and never gives an event that was not written", () => {
    const whole = Buffer.concat([anEvent, anEvent])
    for (let length = 0; length <= whole.length; length++) {
      const { events, reason } = decode([whole.subarray(0, length)])
      assert.strictEqual(events.length, Math.floor(length / anEvent.length))
      assert.strictEqual(reason?._tag, length % anEvent.length === 0 ? undefined : "Truncated", `at ${length}`)
    }
  })

  it("finds every single wrong byte, in one piece and byte by byte", () => {
    for (let index = 0; index < anEvent.length; index++) {
      const broken = Buffer.from(anEvent)
      broken.writeUInt8(broken.readUInt8(index) ^ 0x01, index)
      for (const cuts of ["none", "all"] as const) {
        const { events, reason } = decode(bodies.cut(Buffer.concat([broken, anEvent]), cuts))
        assert.deepStrictEqual(events, [], `byte ${index}`)
        assert.strictEqual(reason?._tag, "Protocol", `byte ${index}`)
      }
    }
  })

  it("does not wait for the rest of a frame whose lengths are wrong", () => {
    const prelude = Buffer.from(anEvent.subarray(0, 12))
    prelude.writeUInt32BE(70_000, 0)
    assert.strictEqual(decode([prelude]).reason?._tag, "Protocol")
    prelude.writeUInt32BE(15, 0)
    assert.strictEqual(decode([prelude]).reason?._tag, "Protocol")
    assert.strictEqual(decode([Buffer.from("data: hello\n\n")]).reason?._tag, "Protocol")
  })

  // Two of the examples that AWS tests its own decoders with: no headers, and none of anything.
  it.each(["0000001d 00000000 fd528c5a 7b27666f6f273a27626172277d c3653936", "00000010 00000000 05c248eb 7d98c8ff"])(
    "refuses a good frame without a type: %s",
    (frame) => {
      const { reason } = decode([hex(frame)])
      assert.strictEqual(reason?._tag, "Protocol")
      assert.include(reason?.message, "neither")
    }
  )

  it("ignores what comes after the last event, whatever it is", () => {
    for (const rest of [anEvent, anEvent.subarray(0, 9), Buffer.from("{not a frame, and long enough}")]) {
      for (const cuts of ["none", "all"] as const) {
        const { events, reason } = decode(bodies.cut(Buffer.concat([aws.event("last", ""), rest]), cuts))
        assert.strictEqual(events.length, 1)
        assert.isUndefined(reason)
      }
    }
  })

  it("fails with an exception, named as AWS names it", () => {
    const failures = [
      [
        aws.exception("throttlingException", { message: "Too fast" }),
        "Too fast",
        "throttlingException",
        "throttlingException"
      ],
      [
        aws.exception("ModelStreamError", { ErrorCode: "StreamBroken", Message: "gone" }),
        "gone",
        "StreamBroken",
        "ModelStreamError"
      ],
      [aws.exception("InternalStreamFailure", "plain"), "plain", "InternalStreamFailure", "InternalStreamFailure"],
      [
        aws.frame({
          ":message-type": aws.text("error"),
          ":error-code": aws.text("InternalError"),
          ":error-message": aws.text("An internal server error occurred")
        }),
        "An internal server error occurred",
        "InternalError",
        "InternalError"
      ]
    ] as const
    for (const [bytes, description, code, type] of failures) {
      const { events, reason } = decode([anEvent, bytes])
      assert.strictEqual(events.length, 1)
      assert.deepInclude(reason, { _tag: "InStream", description, code, type })
    }
  })
})

describe("AwsEventStream.accepts", () => {
  const type = "application/vnd.amazon.eventstream"
  it.each([
    [anEvent, type, true],
    [anEvent, "", true],
    [Buffer.from("x"), type, true],
    [Buffer.from("{}"), type, false],
    [Buffer.from("<html>"), type, false],
    [Buffer.from("data: x"), "text/event-stream", false],
    [anEvent, "text/event-stream", true],
    [Buffer.from("x"), "", false]
  ] as const)("%s %s", (bytes, type, expected) => {
    assert.strictEqual(AwsEventStream.accepts(bytes, type), expected)
  })
})

describe("AwsEventStream.errorOf", () => {
  it.each([
    [{ message: "no" }, "no", null, null],
    [{ Message: "no" }, "no", null, null],
    [
      { __type: "com.amazon.coral.service#AccessDeniedException", Message: "no" },
      "AccessDeniedException: no",
      "AccessDeniedException",
      "AccessDeniedException"
    ],
    [{ __type: "ThrottlingException:http://x" }, "ThrottlingException", "ThrottlingException", "ThrottlingException"],
    [
      { ErrorCode: "CLIENT_ERROR_FROM_MODEL", Message: "no", OriginalStatusCode: 422 },
      "no",
      "CLIENT_ERROR_FROM_MODEL",
      null
    ]
  ])("%j", (value, description, code, type) => {
    assert.deepInclude(AwsEventStream.errorOf(JSON.stringify(value)), { description, code, type })
  })

  it("takes the name of the error from the header first", () => {
    assert.deepInclude(
      AwsEventStream.errorOf(`{"message":"slow down","code":"x"}`, {
        "x-amzn-errortype": "ThrottlingException:http://internal.amazon.com/coral/"
      }),
      { description: "ThrottlingException: slow down", code: "ThrottlingException", type: "ThrottlingException" }
    )
  })

  it("says plainly that credentials have expired", () => {
    for (const error of [
      { message: "The security token included in the request is expired" },
      { __type: "ExpiredTokenException", message: "x" }
    ]) {
      assert.match(
        AwsEventStream.errorOf(JSON.stringify(error))?.description ?? "",
        /^The AWS credentials have expired/
      )
    }
  })

  it.each(["", "<html>", "{}", '{"a":1}', "[]", "1"])("%j is no error", (body) => {
    assert.isUndefined(AwsEventStream.errorOf(body))
  })
})
