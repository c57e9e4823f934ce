import { assert, describe, it } from "@effect/vitest"
import * as AnthropicEvent from "../../../src/provider/wire/AnthropicEvent.ts"
import * as ConverseEvent from "../../../src/provider/wire/ConverseEvent.ts"
import * as GeminiChunk from "../../../src/provider/wire/GeminiChunk.ts"
import * as OllamaLine from "../../../src/provider/wire/OllamaLine.ts"
import * as OpenAiChunk from "../../../src/provider/wire/OpenAiChunk.ts"
import * as ResponsesEvent from "../../../src/provider/wire/ResponsesEvent.ts"
import * as SageMakerPayload from "../../../src/provider/wire/SageMakerPayload.ts"
import { type MakeDecoder } from "../../../src/provider/wire/StreamDecoder.ts"
import * as TgiEvent from "../../../src/provider/wire/TgiEvent.ts"
import * as VertexPrediction from "../../../src/provider/wire/VertexPrediction.ts"
import * as aws from "../wire/awsStreams.ts"
import * as decoding from "../wire/decoding.ts"

const sse = (...events: ReadonlyArray<object>): string =>
  events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join("")
const done = "data: [DONE]\n\n"
const chat = { object: "chat.completion.chunk", choices: [{ delta: { content: "a" }, finish_reason: null }] }
const whole = { object: "chat.completion", choices: [{ message: { content: "a" }, finish_reason: "stop" }] }
const event = { type: "response.output_text.delta", delta: "a" }
const nameless = { model: "m", response: "a", done: true }

const converse = ConverseEvent.makeDecoder(aws.awsCodec)
const sageMaker = SageMakerPayload.makeDecoder(aws.awsCodec, "messages")
const jumpstart = SageMakerPayload.makeDecoder(aws.awsCodec, "jumpstart")

describe("An answer of another API than the one that was asked", () => {
  const foreign: ReadonlyArray<
    readonly [of: string, decoder: MakeDecoder, body: string | Buffer, says: ReadonlyArray<string>]
  > = [
    [
      "a chat for the Responses API",
      ResponsesEvent.makeDecoder,
      sse(chat, chat) + done,
      [
        "200 without any event of the Responses API: 2 events named chat.completion.chunk; is this the right --endpoint?",
        `The first: {"object":"chat.completion.chunk"`
      ]
    ],
    [
      "the Responses API for a chat",
      OpenAiChunk.makeDecoder,
      sse({ type: "response.created" }, event) + done,
      ["any chunk of the chat or the completions API", "2 events named response.created, response.output_text.delta"]
    ],
    ["without an end marker", OpenAiChunk.makeDecoder, sse(event), ["1 event named response.output_text.delta"]],
    ["a whole chat in one event", OpenAiChunk.makeDecoder, sse(whole), ["1 event named chat.completion;"]],
    ["nothing but the end", OpenAiChunk.makeDecoder, done, ["nothing but the end marker came"]],
    ["nothing but the end", ResponsesEvent.makeDecoder, done, ["nothing but the end marker came"]],
    ["a chat for the Messages API", AnthropicEvent.makeDecoder, sse(chat) + done.replace("[DONE]", "{}"), ["Messages"]],
    ["a chat for Gemini", GeminiChunk.makeDecoder, sse(chat), ["generateContent", "is this the right --llm-api?"]],
    ["a chat for TGI", TgiEvent.makeDecoder, sse(chat), ["generate_stream"]],
    [
      "Ollama's generate for its chat",
      OllamaLine.makeDecoder,
      `${JSON.stringify(nameless)}\n`,
      ["1 event named {model, response, done}", "is this the right --api-base?"]
    ],
    ["InvokeModel for Converse", converse, aws.event("chunk", { bytes: "e30=" }), ["1 event named chunk"]],
    ["another event of AWS", sageMaker, aws.event("chunk", { bytes: "e30=" }), ["1 event named chunk"]],
    ["a container's own events", sageMaker, aws.payloadParts(sse(nameless) + done, 9), ["{model, response, done}"]],
    ["a document without a message", sageMaker, aws.payloadParts(`{"choices":[{"message":{}}]}`, 9), ["has no text"]],
    ["a document without a message", jumpstart, aws.payloadParts(`{"generation":{}}`, 9), ["has no text"]],
    ["other predictions", VertexPrediction.makeDecoder, `{"predictions":[{"score":1}]}`, ["No text was found"]]
  ]

  it.each(foreign)("is a failure that says what came: %s", (_, decoder, body, says) => {
    const reason = decoding.failureOf(decoder, body)
    assert.strictEqual(reason?._tag, "Protocol")
    for (const text of says) assert.include(reason?.message, text)
  })

  it("names four kinds of events, and shows the first in short", () => {
    const kinds = ["a", "b", "c", "d", "e", "f"].map((type) => ({ type, text: "x".repeat(300) }))
    const message = decoding.failureOf(ResponsesEvent.makeDecoder, sse(...kinds))?.message ?? ""
    assert.include(message, "6 events named a, b, c, d, …; is this")
    assert.match(message, /The first: \{"type":"a","text":"x{100,190}…$/)
  })
})

describe("An answer without tokens", () => {
  const ended: ReadonlyArray<readonly [of: string, decoder: MakeDecoder, body: string | Buffer]> = [
    ["a chat", OpenAiChunk.makeDecoder, sse({ choices: [{ delta: {}, finish_reason: "stop" }] }) + done],
    ["a completion", OpenAiChunk.makeDecoder, sse({ choices: [{ text: "", finish_reason: "stop" }] })],
    ["a chat that tells its usage alone", OpenAiChunk.makeDecoder, sse({ usage: { prompt_tokens: 5 } }) + done],
    [
      "the Responses API",
      ResponsesEvent.makeDecoder,
      sse({ type: "response.completed", response: { status: "completed" } })
    ],
    ["the Messages API", AnthropicEvent.makeDecoder, sse({ type: "message_stop" })],
    ["Gemini", GeminiChunk.makeDecoder, sse({ candidates: [{ finishReason: "STOP" }] })],
    ["TGI", TgiEvent.makeDecoder, sse({ generated_text: "" })],
    ["Ollama", OllamaLine.makeDecoder, `${JSON.stringify({ message: { content: "" }, done: true })}\n`],
    ["Converse", converse, aws.event("messageStop", { stopReason: "end_turn" })],
    ["a document", sageMaker, aws.payloadParts(`{"choices":[{"message":{"content":null}}]}`, 9)],
    ["predictions", VertexPrediction.makeDecoder, `{"predictions":[""]}`]
  ]

  it.each(ended)("is a success: %s", (_, decoder, body) => {
    assert.isUndefined(decoding.failureOf(decoder, body))
  })
})
