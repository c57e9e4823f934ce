import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { isUtf8 } from "node:buffer"
import * as OpenAiChunk from "../../../src/provider/wire/OpenAiChunk.ts"
import * as bodies from "./bodies.ts"
import * as chunks from "./chunks.ts"
import * as decoding from "./decoding.ts"
import * as reference from "./reference.ts"

const decode = (pieces: ReadonlyArray<Buffer>) => decoding.decode(OpenAiChunk.makeDecoder, pieces)
const raw = (pieces: ReadonlyArray<Buffer>) => decoding.outcome(OpenAiChunk.makeDecoder, pieces)
const outcome = (pieces: ReadonlyArray<Buffer>) => reference.settled(raw(pieces))
const plainly = (body: Uint8Array) => reference.settled(reference.openAi(body))

const body = (...datas: ReadonlyArray<string>) => Buffer.from(datas.map((data) => `data: ${data}\n\n`).join(""))

const chunk = (delta: object, rest: object = {}) => JSON.stringify({ id: "c", choices: [{ index: 0, delta, ...rest }] })
const finish = chunk({}, { finish_reason: "stop" })

/** What an answer comes to whose chunks are `datas`. */
const texts = (...datas: ReadonlyArray<string>) =>
  raw([body(...datas)]).parts.map((part) =>
    "kind" in part ? `${part.kind} ${part.text}` : "finished" in part ? part.finished : "usage"
  )

describe("OpenAiChunk.makeDecoder", () => {
  it("gives what the schema gives, whatever the chunks and wherever the body is cut", () => {
    fc.assert(
      fc.property(chunks.answer, bodies.cuts, (body, cuts) => {
        assert.deepStrictEqual(outcome(bodies.cut(body, cuts)), plainly(body))
      }),
      { numRuns: 1_000 }
    )
  })

  it("tells a refusal by its own field, though the answer ends as any other", () => {
    const refused = chunk({ refusal: "I can't help with that." })
    assert.deepStrictEqual(texts(refused, finish, "[DONE]"), ["text I can't help with that.", "refusal", "stop"])
    assert.deepStrictEqual(texts(chunk({ content: "a", refusal: null }), finish, "[DONE]"), ["text a", "stop"])
  })

  it("gives the same for reads of whole events, among them some that are cut", () => {
    fc.assert(
      fc.property(chunks.answer, fc.array(fc.nat(10_000), { maxLength: 3 }), (body, cuts) => {
        const ends = [...body.toString("latin1").matchAll(/\n\n/g)].map(({ index }) => index + 2)
        const places = [...ends, ...cuts.map((cut) => cut % (body.length + 1))].toSorted((a, b) => a - b)
        assert.deepStrictEqual(outcome(bodies.cut(body, places)), plainly(body))
      }),
      { numRuns: 500 }
    )
  })

  it("gives the same for chunks of one form, whatever bytes stand in the place of their text", () => {
    const text = fc.oneof(
      fc.constantFrom(
        "a",
        " the",
        "",
        '"',
        "\\",
        '\\"',
        "\\n",
        "\n",
        "\u0000",
        "\u001f",
        "é",
        "😀",
        "\u2028",
        'a"},"x":{"b":"'
      ),
      fc.string({ unit: "binary-ascii", maxLength: 40 })
    )
    const bytes = fc.oneof(
      { weight: 4, arbitrary: text.map((text) => Buffer.from(text)) },
      { weight: 1, arbitrary: fc.uint8Array({ maxLength: 5 }).map((bytes) => Buffer.from(bytes)) }
    )
    const form = fc.constantFrom(
      ['data: {"choices":[{"delta":{"content":"', '"}}]}\n\n'],
      ['data: {"id":"é","choices":[{"index":0,"delta":{"reasoning":"', '"},"finish_reason":null}]}\n\n'],
      ['data: {"choices":[{"text":"', '","finish_reason":null}],\ndata: "x":"a"}\n\n']
    )
    fc.assert(
      fc.property(
        form,
        fc.array(bytes, { maxLength: 12 }),
        fc.boolean(),
        ([prefix = "", suffix = ""], texts, isCut) => {
          const event = (text: Buffer) => Buffer.concat([Buffer.from(prefix), text, Buffer.from(suffix)])
          const events = [
            ...["one", "two", "three", "four"].map((text) => event(Buffer.from(text))),
            ...texts.map(event)
          ]
          const last = Buffer.from("data: [DONE]\n\n")
          const whole = Buffer.concat([...events, last])
          // The reference counts the bytes of its text, which are other ones where bytes are no text.
          const expected = isUtf8(whole) ? plainly(whole) : outcome([whole])
          const halves = events.flatMap((event) => (isCut ? [event.subarray(0, -7), event.subarray(-7)] : [event]))
          assert.deepStrictEqual(outcome([...halves, last]), expected)
          assert.deepStrictEqual(outcome([...events.slice(0, 3), Buffer.concat([...events.slice(3), last])]), expected)
        }
      ),
      { numRuns: 500 }
    )
  })

  it("does not take for an event of the form it knows what is none", () => {
    const [a, b, c] = ["a", "b", "c"].map((content) => body(chunk({ content })))
    const after = (...pieces: ReadonlyArray<Buffer | string>) =>
      decoding
        .inShort(OpenAiChunk.makeDecoder, b ?? "", b ?? "", a ?? "", b ?? "", ...pieces, c ?? "", body(finish))
        .slice(2)
    assert.deepStrictEqual(after(), ["text a", "text b", "text c", "stop"])
    assert.deepStrictEqual(after("event: error\n"), ["text a", "text b", "text c", "InStream"])
    assert.deepStrictEqual(after("data: [DONE]\n\n"), ["text a", "text b"])
    // Half a character before it makes another field of it.
    assert.deepStrictEqual(after(Buffer.from([0xc3])), ["text a", "text b", "stop"])
    const two = (reasoning_content: string) => body(chunk({ reasoning_content, reasoning: "other" }))
    assert.deepStrictEqual(
      decoding.inShort(OpenAiChunk.makeDecoder, two("a"), two("a"), two("a"), two("b"), two(""), body(finish)),
      ["reasoning a", "reasoning a", "reasoning a", "reasoning b", "reasoning other", "stop"]
    )
  })

  it("is held against answers of every kind", () => {
    decoding.holdsEveryKind(chunks.answer, 500, reference.openAi)
  })

  it("reads an answer as OpenAI sends it, with the time of each chunk", () => {
    const pieces = [
      body(chunk({ role: "assistant", content: "" }, { finish_reason: null })),
      body(chunk({ content: "Hel" }), chunk({ content: "lo" })),
      body(chunk({ content: " you" })),
      body(finish),
      body(
        `{"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":0}}}`
      ),
      body("[DONE]")
    ]
    const { done, events, reason } = decode(pieces)
    assert.isUndefined(reason)
    assert.isTrue(done)
    assert.deepStrictEqual(events, [
      { _tag: "Content", kind: "text", at: [2, 2, 3], text: ["Hel", "lo", " you"] },
      { _tag: "Finished", at: 4, reason: "stop" },
      { _tag: "Usage", at: 5, inputTokens: 5, outputTokens: 3, cachedInputTokens: 4, reasoningTokens: 0 }
    ])
  })

  it.each([
    ["escapes", [" a", '"', "\\", "\n", "\u0000", "\u001f", "é😀", "e\u0301", "\u2028"]],
    ["text that stands elsewhere in the chunk", ["content", "c", "id", "index", "choices", "delta"]],
    ["text that looks like the end of a chunk", ["a", `"}}]}`, `","x":"`, `"}}]}\n\ndata: `]],
    ["the mark that finds the place of the text", ["␂", "a", "␂", "b"]],
    ["nothing", ["a", "", "b", ""]]
  ])("reads %s like any text", (_name, answer) => {
    const expected = answer.filter((text) => text !== "").map((text) => `text ${text}`)
    assert.deepStrictEqual(texts(...answer.map((content) => chunk({ content }))), expected)
  })

  it("reads text that the server writes in escapes", () => {
    const escaped = (text: string) => `{"choices":[{"delta":{"content":"${text}"}}]}`
    const datas = ["a", String.raw`\u0061`, String.raw`\ud83d\ude00`, String.raw`\"\\\/`, "b"].map(escaped)
    assert.deepStrictEqual(texts(...datas), ["text a", "text a", "text 😀", String.raw`text "\/`, "text b"])
  })

  it("is not taken in by a chunk of the form of those before", () => {
    const a = chunk({ content: "a" })
    // The text of another field changes; a field is there twice; the text is in the place of a name; an error comes along.
    assert.deepStrictEqual(texts(a, `{"id":"x","choices":[{"index":0,"delta":{"content":"a"}}]}`), ["text a", "text a"])
    assert.deepStrictEqual(
      texts(`{"id":"␂","choices":[{"delta":{"content":"␂"}}]}`, `{"id":"b","choices":[{"delta":{"content":"␂"}}]}`),
      ["text ␂", "text ␂"]
    )
    const both = (first: string) => `{"choices":[{"delta":{"reasoning_content":"${first}","reasoning":"other"}}]}`
    assert.deepStrictEqual(texts(both("a"), both(""), both("b")), ["reasoning a", "reasoning other", "reasoning b"])
    assert.deepStrictEqual(
      texts(
        `{"choices":[{"delta":{"content":"x","content":"a"}}]}`,
        `{"choices":[{"delta":{"content":"b","content":"a"}}]}`
      ),
      ["text a", "text a"]
    )
    assert.strictEqual(outcome([body(a, a, `${a.slice(0, -1)},"error":"x"}`)]).failure, "InStream")
    assert.deepStrictEqual(texts(a, chunk({ content: "a" }, { finish_reason: "stop" })), ["text a", "text a", "stop"])
  })

  it("follows changes of the form: ids, reasoning and answer, log probabilities, padding", () => {
    const datas = Array.from({ length: 40 }, (_, i) =>
      JSON.stringify({
        id: `id-${i}`,
        choices: [
          {
            delta: i % 3 === 0 ? { reasoning_content: `r${i}` } : { content: `c${i}` },
            logprobs: i % 2 === 0 ? null : { content: [{ token: `c${i}`, logprob: -0.5 }] }
          }
        ],
        obfuscation: "x".repeat(i % 7)
      })
    )
    assert.deepStrictEqual(
      texts(...datas),
      datas.map((_, i) => (i % 3 === 0 ? `reasoning r${i}` : `text c${i}`))
    )
  })

  it("reads reasoning, refusals, tool calls, legacy text and several choices in their order", () => {
    assert.deepStrictEqual(
      texts(
        chunk({ reasoning_content: "r1", content: "t1" }),
        chunk({ reasoning: "r2", reasoning_content: null }),
        chunk({ reasoning: "r3", reasoning_content: "r3" }),
        chunk({ refusal: "no" }),
        chunk({ tool_calls: [{ index: 0, id: "1", function: { name: "write", arguments: "" } }] }),
        chunk({
          tool_calls: [
            { index: 0, function: { arguments: "{" } },
            { index: 1, function: { arguments: "}" } }
          ]
        }),
        `{"choices":[{"text":"legacy"}]}`,
        `{"choices":[{"index":0,"delta":{"content":"x"}},{"index":1,"delta":{"content":"y"},"finish_reason":"length"}]}`
      ),
      [
        "reasoning r1",
        "text t1",
        "reasoning r2",
        "reasoning r3",
        "text no",
        "refusal",
        "tool write",
        "tool {",
        "tool }",
        "text legacy",
        "text x",
        "text y",
        "length"
      ]
    )
  })

  it("passes over chunks without content, and over what has not the promised type", () => {
    const without = [
      "{}",
      "[]",
      `{"choices":null}`,
      `{"choices":[]}`,
      `{"choices":[{}]}`,
      `{"choices":[null,1,"x"]}`,
      `{"choices":{}}`,
      `{"choices":[{"delta":null,"text":null,"finish_reason":null}]}`,
      `{"choices":[{"delta":{"content":5,"reasoning":{},"tool_calls":"x"},"finish_reason":7}]}`,
      `{"choices":[{"delta":{"tool_calls":[null,{},{"function":null},{"function":{"name":1}}]}}]}`,
      `{"usage":null,"error":null}`,
      `{"usage":5,"error":false}`
    ]
    assert.deepStrictEqual(outcome([body(...without, finish)]), { parts: [{ finished: "stop" }], failure: undefined })
  })

  it("never throws, whatever the JSON", () => {
    fc.assert(
      fc.property(fc.json(), fc.jsonValue(), (json, value) => {
        const { reason } = decode([
          body(json, JSON.stringify({ choices: [value, { delta: value }], usage: value, error: value }))
        ])
        assert.include(["Truncated", "Protocol", "InStream"], reason?._tag)
      }),
      { numRuns: 500 }
    )
  })

  it.each([
    ["an object", `{"error":{"message":"busy","type":"server_error","code":529}}`, ["busy", 529, "server_error", 529]],
    ["a string", `{"error":"busy"}`, ["busy", null, null, "in_stream_error"]],
    [
      "vLLM's form",
      `{"object":"error","message":"busy","type":"BadRequest","param":null,"code":400}`,
      ["busy", 400, "BadRequest", 400]
    ],
    ["a null code", `{"error":{"message":"busy","code":null}}`, ["busy", null, null, "in_stream_error"]],
    ["a code in digits", `{"error":{"message":"busy","code":"429"}}`, ["busy", 429, null, 429]],
    [
      "a code in words",
      `{"error":{"message":"busy","code":"rate_limit_exceeded"}}`,
      ["busy", "rate_limit_exceeded", null, "rate_limit_exceeded"]
    ],
    ["digits that are no status", `{"error":{"message":"busy","code":"1302"}}`, ["busy", "1302", null, "1302"]],
    ["no message", `{"error":{"code":500,"detail":"x"}}`, [`{"code":500,"detail":"x"}`, 500, null, 500]],
    [
      "a chunk beside it",
      `{"choices":[],"error":{"message":"busy","code":""}}`,
      ["busy", null, null, "in_stream_error"]
    ]
  ] as const)("fails on an error: %s", (_name, data, [description, code, type, errorCode]) => {
    const { reason } = decode([body(chunk({ content: "a" }), data, "[DONE]")])
    assert.deepInclude(reason, { _tag: "InStream", description, code, type })
    assert.strictEqual(reason?.errorCode, errorCode)
  })

  it("keeps what came before an error, and the text in the same chunk", () => {
    const data = `{"choices":[{"delta":{"content":"b"}}],"error":"busy"}`
    assert.deepStrictEqual(outcome([body(chunk({ content: "a" }), data, chunk({ content: "c" }))]), {
      parts: [
        { kind: "text", text: "a" },
        { kind: "text", text: "b" }
      ],
      failure: "InStream"
    })
  })

  it.each([
    ["an error object", `{"error":{"message":"busy"}}`, "busy"],
    ["other JSON", `{"message":"busy"}`, `{"message":"busy"}`],
    ["plain text", "busy", "busy"],
    ["a chunk", chunk({ content: "a" }), chunk({ content: "a" })]
  ])("fails on an event named error: %s", (_name, data, description) => {
    const before = body(chunk({ content: "a" }), chunk({ content: "a" }))
    const { reason } = decode([before, Buffer.from(`event: error\ndata: ${data}\n\n`)])
    assert.deepInclude(reason, { _tag: "InStream", description })
  })

  it("reads events of other names", () => {
    assert.deepStrictEqual(
      outcome([Buffer.from(`event: delta\ndata: ${chunk({ content: "a" })}\n\ndata: ${finish}\n\n`)]).parts,
      [{ kind: "text", text: "a" }, { finished: "stop" }]
    )
  })

  it.each([
    ["JSON that is cut", "{not json", "{not json"],
    ["text", "Internal Server Error", "Internal Server Error"],
    ["a number", "5", "5"],
    ["null", "null", "null"]
  ])("fails on %s in the middle of the stream, and shows it", (_name, data, shown) => {
    const { reason } = decode([body(chunk({ content: "a" }), data, finish)])
    assert.strictEqual(reason?._tag, "Protocol")
    assert.include(reason?.message, shown)
  })

  it("needs a finish reason or [DONE], and no more", () => {
    const a = chunk({ content: "a" })
    assert.isUndefined(outcome([body(a, finish, "[DONE]")]).failure)
    assert.isUndefined(outcome([body(a, finish)]).failure)
    assert.isUndefined(outcome([body(a, "[DONE]")]).failure)
    assert.isUndefined(outcome([Buffer.from(`data: ${a}\n\ndata: [DONE]`)]).failure)
    assert.isUndefined(outcome([Buffer.from(`data: ${a}\n\ndata:[DONE]\r\n\r\nrubbish\n\ndata: {\n\n`)]).failure)
    assert.strictEqual(outcome([body(a)]).failure, "Truncated")
    assert.strictEqual(outcome([Buffer.alloc(0)]).failure, "Truncated")
  })

  it("takes half an event at the end for a cut, not for a fault of its own", () => {
    const whole = body(chunk({ content: "a" }), chunk({ content: "b" })).subarray(0, -2)
    for (let end = 1; end < whole.length; end++) {
      assert.strictEqual(outcome([whole.subarray(0, end)]).failure, "Truncated", `cut after ${end} bytes`)
    }
  })

  it("has the whole answer once the finish reason was there, wherever what follows is cut", () => {
    const start = body(chunk({ content: "a" }), finish)
    const rest = body(`{"choices":[],"usage":{"prompt_tokens":5}}`, "[DONE]")
    for (let end = 0; end <= rest.length; end++) {
      const { failure, parts } = outcome([start, rest.subarray(0, end)])
      assert.isUndefined(failure, `cut after ${end} bytes`)
      assert.deepStrictEqual(parts.slice(0, 2), [{ kind: "text", text: "a" }, { finished: "stop" }])
    }
  })

  it("reads a chunk of a megabyte", () => {
    const content = "lorem ipsum ".repeat(100_000)
    const { parts } = outcome(bodies.cut(body(chunk({ content }), finish), [5, 70_000, 900_001]))
    assert.deepStrictEqual(parts[0], { kind: "text", text: content })
  })
})

describe("OpenAiChunk.errorOf", () => {
  it("finds no error where there is none", () => {
    for (const value of [null, 5, "error", [], {}, { error: null }, { error: false }, { object: "chat.completion" }]) {
      assert.isUndefined(OpenAiChunk.errorOf(value))
    }
  })
})
