import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { type Style } from "../../../src/provider/wire/SageMakerPayload.ts"
import * as OpenAiChunk from "../../../src/provider/wire/OpenAiChunk.ts"
import * as SageMakerPayload from "../../../src/provider/wire/SageMakerPayload.ts"
import * as TgiEvent from "../../../src/provider/wire/TgiEvent.ts"
import * as aws from "./awsStreams.ts"
import * as bodies from "./bodies.ts"
import * as chunks from "./chunks.ts"
import * as decoding from "./decoding.ts"
import * as reference from "./reference.ts"

const decoder = (style: Style) => SageMakerPayload.makeDecoder(aws.awsCodec, style)

const data = (...values: ReadonlyArray<object>): string =>
  values.map((value) => `data: ${JSON.stringify(value)}\n\n`).join("")

const chat = data(
  { choices: [{ index: 0, delta: { role: "assistant", content: "" } }] },
  { choices: [{ index: 0, delta: { content: "né" } }] },
  { choices: [{ index: 0, delta: { content: "漢😀" } }] },
  { choices: [{ index: 0, delta: {}, finish_reason: "stop" }] },
  { choices: [], usage: { prompt_tokens: 3, completion_tokens: 2 } }
)

const tgiLines = [
  { index: 1, token: { id: 1, text: "né", logprob: -1, special: false }, generated_text: null, details: null },
  { index: 2, token: { id: 2, text: "漢😀", logprob: -1, special: false }, generated_text: null, details: null },
  {
    index: 3,
    token: { id: 3, text: "</s>", logprob: -1, special: true },
    generated_text: "né漢😀",
    details: { finish_reason: "eos_token", generated_tokens: 3, input_length: 4 }
  }
].map((line) => JSON.stringify(line))

const partSize = fc.oneof(fc.constantFrom(2, 3, 5), fc.integer({ min: 10, max: 400 }))

/** What a container's output comes to, in parts of that size. */
const inShort = (style: Style, output: string | Buffer, partBytes = 10): ReadonlyArray<string> =>
  decoding.inShort(decoder(style), aws.payloadParts(output, partBytes))

describe("SageMakerPayload.makeDecoder", () => {
  it("reads OpenAI's chunks as the decoder of OpenAI does, wherever parts and frames begin", () => {
    fc.assert(
      fc.property(chunks.answer, partSize, bodies.cuts, (body, partBytes, cuts) => {
        fc.pre(!/^\s*($|[{[])/.test(body.toString("latin1")))
        const expected = reference.settled(decoding.outcome(OpenAiChunk.makeDecoder, [body]))
        const stream = aws.payloadParts(body, partBytes)
        const found = decoding.outcome(decoder("messages"), bodies.cut(stream, cuts))
        assert.deepStrictEqual(reference.settled(found), expected)
      }),
      { numRuns: 60 }
    )
  })

  it("reads TGI's events as the decoder of TGI does, with `data:` before them and without", () => {
    const expected = ["text né", "text 漢😀", "eos_token", "usage 4 3  "]
    const events = tgiLines.map((line) => `data:${line}\n\n`).join("")
    assert.deepStrictEqual(decoding.inShort(TgiEvent.makeDecoder, events), expected)
    for (const output of [events, tgiLines.map((line) => `${line}\n`).join(""), `${tgiLines.join("\r\n\r\n")}\n`]) {
      for (const partBytes of [1, 2, 3, 7, 50, 10_000]) {
        assert.deepStrictEqual(inShort("tgi", output, partBytes), expected, `${partBytes}: ${output}`)
      }
    }
  })

  it("reads the transcripts, wherever they are cut", () => {
    const transcripts = [
      ["messages", "sagemaker-messages.eventstream", ["text Deep", "text  learning", "stop", "usage 17 3  "]],
      ["tgi", "sagemaker-tgi.eventstream", ["text Deep", "text  learning", "length", "usage 6 2  "]],
      ["messages", "sagemaker-broken.eventstream", ["text Deep", "InStream"]]
    ] as const
    for (const [style, name, expected] of transcripts) {
      const body = decoding.transcript(name)
      assert.deepStrictEqual(decoding.inShort(decoder(style), body), expected, name)
      assert.deepStrictEqual(decoding.inShort(decoder(style), ...bodies.cut(body, "all")), expected, name)
    }
  })

  it("tells JumpStart's document as a whole, however it is cut, with the arrival of its end", () => {
    const document = JSON.stringify([{ generation: { role: "assistant", content: "né\n漢😀" } }])
    for (const partBytes of [1, 5, 1_000]) {
      const pieces = [aws.payloadParts(document, partBytes), aws.payloadParts("\n", 1)]
      const { done, events, reason } = decoding.decode(decoder("jumpstart"), pieces)
      assert.isUndefined(reason)
      assert.isFalse(done)
      assert.deepStrictEqual(events, [{ _tag: "Whole", at: 2, text: "né\n漢😀" }])
    }
  })

  it("tells the answer of a container that does not stream as a whole, in every style", () => {
    const completion = {
      choices: [{ index: 0, message: { role: "assistant", content: "hello" }, finish_reason: "stop" }],
      usage: { prompt_tokens: 3, completion_tokens: 2 }
    }
    const wholes = [
      ["messages", completion, ["Whole", "Finished", "Usage"]],
      ["tgi", [{ generated_text: "hello" }], ["Whole"]],
      ["jumpstart", { generation: "hello" }, ["Whole"]],
      ["jumpstart", [{ generated_text: "hello" }], ["Whole"]]
    ] as const
    for (const [style, document, tags] of wholes) {
      const { events, reason } = decoding.decode(decoder(style), [
        aws.payloadParts(JSON.stringify(document, null, 2), 9)
      ])
      assert.isUndefined(reason)
      assert.deepInclude(events[0], { _tag: "Whole", text: "hello" })
      assert.strictEqual(events.map(({ _tag }) => _tag).join(), tags.join())
    }
  })

  it("names the style of an answer that is in another", () => {
    const outputs: { readonly [style in Style]: ReadonlyArray<string> } = {
      messages: [`${chat}data: [DONE]\n\n`, chat],
      tgi: [tgiLines.map((line) => `data:${line}\n\n`).join(""), tgiLines.map((line) => `${line}\n`).join("")],
      jumpstart: ['[{"generation": {"role": "assistant", "content": "hello"}}]\n\n']
    }
    for (const [spoken, texts] of Object.entries(outputs)) {
      for (const style of ["messages", "tgi", "jumpstart"] as const) {
        // A document is read as one in every style.
        if (style === spoken || spoken === "jumpstart") continue
        for (const text of texts) {
          for (const partBytes of [1, 9, 4_000]) {
            const { reason } = decoding.decode(decoder(style), [aws.payloadParts(text, partBytes)])
            assert.deepInclude(reason, {
              _tag: "Protocol",
              description: `The container answers in the payload style ${spoken}, not ${style}: use --payload-style ${spoken}`
            })
          }
        }
      }
    }
    // What is cut off in its own style stays that.
    assert.strictEqual(inShort("messages", chat.slice(0, 250)).at(-1), "Truncated")
  })

  it("tells of answers that are cut off", () => {
    assert.strictEqual(inShort("messages", chat.slice(0, 250)).at(-1), "Truncated")
    assert.strictEqual(inShort("tgi", `data:${tgiLines[0]}\n\n`).at(-1), "Truncated")
    assert.strictEqual(inShort("tgi", `data:${tgiLines[0]}\n\ndata:{"to`).at(-1), "Truncated")
    assert.deepStrictEqual(inShort("jumpstart", '[{"generation": {"con'), ["Truncated"])
    for (const style of ["messages", "tgi", "jumpstart"] as const)
      assert.deepStrictEqual(inShort(style, ""), ["Truncated"])
    assert.isFalse(inShort("messages", chat).includes("Truncated"))
  })

  it("fails with the container's error", () => {
    const failure = (style: Style, output: string) => decoding.failureOf(decoder(style), aws.payloadParts(output, 9))
    assert.deepInclude(failure("messages", data({ error: { message: "no", code: 500, type: "x" } })), {
      _tag: "InStream",
      description: "no",
      code: 500
    })
    const tgiError = { error: "Model is overloaded", error_type: "overloaded" }
    for (const [style, output] of [
      ["tgi", data(tgiError)],
      ["tgi", `${JSON.stringify(tgiError)}\n`],
      ["jumpstart", JSON.stringify(tgiError)]
    ] as const) {
      assert.deepInclude(failure(style, output), { _tag: "InStream", description: "Model is overloaded" })
    }
    assert.strictEqual(failure("tgi", "data: {not json\n\n")?._tag, "Protocol")
    assert.strictEqual(failure("jumpstart", "hello")?._tag, "Protocol")
    assert.strictEqual(failure("jumpstart", '{"answer": "hello"}')?._tag, "Protocol")
  })

  it("ignores events that are no payload, and is done with OpenAI's end mark", () => {
    const body = Buffer.concat([
      aws.event("New", "x"),
      aws.payloadParts(`${chat}data: [DONE]\n\n`, 30),
      aws.event("New", "x")
    ])
    const { done, reason } = decoding.decode(decoder("messages"), [body])
    assert.isUndefined(reason)
    assert.isTrue(done)
  })
})
