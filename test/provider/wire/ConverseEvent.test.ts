import { assert, describe, it } from "@effect/vitest"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as fc from "fast-check"
import { EventBuffer } from "../../../src/provider/wire/EventBuffer.ts"
import * as ConverseEvent from "../../../src/provider/wire/ConverseEvent.ts"
import * as aws from "./awsStreams.ts"
import * as bodies from "./bodies.ts"
import * as decoding from "./decoding.ts"
import * as reference from "./reference.ts"

const makeDecoder = ConverseEvent.makeDecoder(aws.awsCodec)

const delta = fc.record(
  {
    text: decoding.nullable(decoding.token),
    reasoningContent: decoding.nullable(
      fc.record({ text: decoding.nullable(decoding.token), signature: fc.constant("x") }, { requiredKeys: [] })
    ),
    toolUse: decoding.nullable(fc.record({ input: decoding.nullable(decoding.token) }, { requiredKeys: [] }))
  },
  { requiredKeys: [] }
)

const usage = fc.record(
  {
    inputTokens: decoding.count,
    outputTokens: decoding.count,
    totalTokens: decoding.count,
    cacheReadInputTokens: decoding.count,
    cacheWriteInputTokens: decoding.count
  },
  { requiredKeys: [] }
)

const someEvent = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.tuple(
      fc.constant("contentBlockDelta" as const),
      fc.record(
        { contentBlockIndex: fc.nat(1), delta: decoding.nullable(delta), p: decoding.token },
        { requiredKeys: [] }
      )
    )
  },
  {
    weight: 1,
    arbitrary: fc.tuple(
      fc.constant("contentBlockStart" as const),
      fc.record(
        {
          start: decoding.nullable(
            fc.record(
              {
                toolUse: fc.record(
                  { name: decoding.nullable(decoding.token), toolUseId: fc.constant("t") },
                  { requiredKeys: [] }
                )
              },
              { requiredKeys: [] }
            )
          )
        },
        { requiredKeys: [] }
      )
    )
  },
  {
    weight: 1,
    arbitrary: fc.tuple(
      fc.constant("messageStop" as const),
      fc.record({ stopReason: decoding.nullable(fc.constantFrom("end_turn", "max_tokens", "")) }, { requiredKeys: [] })
    )
  },
  {
    weight: 1,
    arbitrary: fc.tuple(
      fc.constant("metadata" as const),
      fc.record({ usage: decoding.nullable(usage), metrics: fc.constant({ latencyMs: 1 }) }, { requiredKeys: [] })
    )
  }
)

const decoders = {
  contentBlockStart: Schema.decodeUnknownOption(ConverseEvent.ConverseEvent.contentBlockStart),
  contentBlockDelta: Schema.decodeUnknownOption(ConverseEvent.ConverseEvent.contentBlockDelta),
  messageStop: Schema.decodeUnknownOption(ConverseEvent.ConverseEvent.messageStop),
  metadata: Schema.decodeUnknownOption(ConverseEvent.ConverseEvent.metadata)
}

type Named = readonly [type: keyof typeof decoders, value: object]

/** The same by the letter of the schemas, each of which must know the event. */
const bySchema = ([type, value]: Named): ReadonlyArray<reference.Part> => {
  const parts: Array<reference.Part> = []
  const add = (kind: "text" | "reasoning" | "tool", text: string | null | undefined): void => {
    if (text) parts.push({ kind, text })
  }
  switch (type) {
    case "contentBlockStart":
      add("tool", Option.getOrThrow(decoders[type](value)).start?.toolUse?.name)
      break
    case "contentBlockDelta": {
      const { delta } = Option.getOrThrow(decoders[type](value))
      add("reasoning", delta?.reasoningContent?.text)
      add("text", delta?.text)
      add("tool", delta?.toolUse?.input)
      break
    }
    case "messageStop": {
      const { stopReason } = Option.getOrThrow(decoders[type](value))
      if (stopReason) parts.push({ finished: stopReason })
      break
    }
    case "metadata": {
      const { usage } = Option.getOrThrow(decoders[type](value))
      if (!usage) break
      const { cacheReadInputTokens, cacheWriteInputTokens, inputTokens, outputTokens } = usage
      const input =
        inputTokens === null || inputTokens === undefined
          ? null
          : inputTokens + (cacheReadInputTokens ?? 0) + (cacheWriteInputTokens ?? 0)
      parts.push({ usage: [input, outputTokens ?? null, cacheReadInputTokens ?? null, null] })
    }
  }
  return parts
}

const delta1 = (delta: object) => aws.event("contentBlockDelta", { contentBlockIndex: 0, delta, p: "abcd" })
const start = aws.event("messageStart", { role: "assistant", p: "ab" })
const stop = aws.event("messageStop", { stopReason: "end_turn" })
const metadata = aws.event("metadata", {
  metrics: { latencyMs: 10 },
  usage: { inputTokens: 4, outputTokens: 2, totalTokens: 6, cacheReadInputTokens: 3, cacheWriteInputTokens: 1 }
})

describe("ConverseEvent.decode", () => {
  it("gives what the schemas give", () => {
    fc.assert(
      fc.property(someEvent, (event) => {
        const out = new EventBuffer()
        ConverseEvent.decode(event[0], event[1], 1, out)
        assert.deepStrictEqual(reference.flatten(out.take() ?? []), bySchema(event))
      }),
      { numRuns: 1_000 }
    )
  })
})

describe("ConverseEvent.makeDecoder", () => {
  it("reads the transcripts, wherever they are cut", () => {
    const transcripts = {
      "bedrock-text.eventstream": ["text The sky", "text  is blue.", "end_turn", "usage 12 5  "],
      "bedrock-reasoning-tool.eventstream": [
        "reasoning I should",
        "reasoning  look it up.",
        "text Let me see.",
        "tool get_weather",
        'tool {"city": ',
        'tool "Paris"}',
        "tool_use",
        "usage 430 60 400 "
      ],
      "bedrock-throttled.eventstream": ["text The", "InStream"]
    }
    for (const [name, expected] of Object.entries(transcripts)) {
      const body = decoding.transcript(name)
      assert.deepStrictEqual(decoding.inShort(makeDecoder, body), expected, name)
      assert.deepStrictEqual(decoding.inShort(makeDecoder, ...bodies.cut(body, "all")), expected, name)
    }
  })

  it("stamps content with the arrival of its frame, and is done with the metadata", () => {
    const pieces = [start, delta1({ text: "a" }), Buffer.concat([delta1({ text: "b" }), stop]), metadata]
    const { done, events, reason } = decoding.decode(makeDecoder, pieces)
    assert.isUndefined(reason)
    assert.isTrue(done)
    assert.deepStrictEqual(events[0], { _tag: "Content", kind: "text", at: [2, 3], text: ["a", "b"] })
    assert.deepStrictEqual(
      events.slice(1).map(({ _tag }) => _tag),
      ["Finished", "Usage"]
    )
  })

  it("counts tokens that come from the cache as input", () => {
    assert.include(decoding.inShort(makeDecoder, start, stop, metadata), "usage 8 2 3 ")
  })

  it("is cut off without the reason to stop, and complete with it", () => {
    assert.deepStrictEqual(decoding.inShort(makeDecoder, start, delta1({ text: "a" })), ["text a", "Truncated"])
    assert.deepStrictEqual(decoding.inShort(makeDecoder, start, metadata).at(-1), "Truncated")
    assert.deepStrictEqual(decoding.inShort(makeDecoder, start, stop), ["end_turn"])
    assert.deepStrictEqual(decoding.inShort(makeDecoder), ["Truncated"])
  })

  it("knows no other events, and no event that is not JSON", () => {
    assert.deepStrictEqual(decoding.inShort(makeDecoder, aws.event("newEvent", { text: "a" }), stop), ["end_turn"])
    assert.match(
      decoding.failureOf(makeDecoder, aws.event("messageStop", "{not json"))?.message ?? "",
      /not JSON: \{not/
    )
  })
})
