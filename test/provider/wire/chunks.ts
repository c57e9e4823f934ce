import * as fc from "fast-check"

/** Streams of OpenAI's chunks, made to be mistaken for one another. */

/** Texts that occur elsewhere in a chunk, that JSON has to escape, or that mean something to a decoder. */
const nasty = fc.constantFrom(
  "",
  " ",
  "content",
  "text",
  "role",
  "assistant",
  "chunk",
  "m",
  "id-1",
  "stop",
  "null",
  "error",
  "␂",
  '"',
  "\\",
  '","',
  '"},"',
  '"}}]}',
  "\\u0041",
  "\n",
  "\t",
  "\u0000",
  "\u001f",
  "\u007f",
  "\u2028",
  "é",
  "e\u0301",
  "漢",
  "😀",
  "[DONE]",
  "data: ",
  "</script>"
)

const word = fc.constantFrom("a", "b", " the", " a")

const token = fc.oneof(
  { weight: 3, arbitrary: word },
  { weight: 3, arbitrary: nasty },
  { weight: 1, arbitrary: fc.string({ unit: "grapheme", maxLength: 5 }).map((text) => text.toWellFormed()) }
)

/** Fields that come before or after the choices, one of them made anew for every chunk. */
const extraFields = fc.record(
  {
    id: token,
    object: fc.constantFrom("chat.completion.chunk", "chunk", "a"),
    model: fc.constantFrom("m", "a", "␂"),
    system_fingerprint: fc.constantFrom(null, "a"),
    obfuscation: token
  },
  { requiredKeys: [] }
)

const usage = fc.oneof(
  fc.constant(null),
  fc.record(
    {
      prompt_tokens: fc.oneof(fc.constant(null), fc.nat(9)),
      completion_tokens: fc.nat(9),
      prompt_tokens_details: fc.constantFrom(null, {}, { cached_tokens: 3 }, { cached_tokens: null }),
      completion_tokens_details: fc.constantFrom(null, {}, { reasoning_tokens: 2 })
    },
    { requiredKeys: [] }
  )
)

const toolCalls = fc.oneof(
  fc.constantFrom(null, []),
  fc.array(
    fc.record(
      {
        index: fc.constant(0),
        function: fc.oneof(
          fc.constant(null),
          fc.record({ name: fc.oneof(fc.constant(null), token), arguments: token }, { requiredKeys: [] })
        )
      },
      { requiredKeys: [] }
    ),
    { minLength: 1, maxLength: 2 }
  )
)

const nullable = (text: fc.Arbitrary<string>) => fc.oneof({ weight: 5, arbitrary: text }, fc.constant(null))

const delta = fc.oneof(
  { weight: 6, arbitrary: fc.record({ content: token }) },
  { weight: 3, arbitrary: fc.record({ reasoning_content: token }) },
  { weight: 2, arbitrary: fc.record({ reasoning: token }) },
  { weight: 1, arbitrary: fc.record({ tool_calls: toolCalls }) },
  {
    weight: 2,
    arbitrary: fc.record(
      {
        role: fc.constantFrom("assistant", "a"),
        content: nullable(token),
        reasoning_content: nullable(token),
        reasoning: nullable(token),
        refusal: nullable(token),
        tool_calls: toolCalls
      },
      { requiredKeys: [] }
    )
  }
)

const logprobs = token.map((token) => ({ content: [{ token, logprob: -1, bytes: null, top_logprobs: [] }] }))

const choice = fc
  .tuple(
    fc.oneof(
      { weight: 6, arbitrary: fc.record({ delta }) },
      { weight: 2, arbitrary: fc.record({ text: token }) },
      { weight: 1, arbitrary: fc.constant({}) },
      { weight: 1, arbitrary: fc.record({ delta: fc.oneof(delta, fc.constant(null)), text: nullable(token) }) }
    ),
    fc.record(
      {
        index: fc.nat(1),
        logprobs: fc.oneof({ weight: 3, arbitrary: fc.constant(null) }, logprobs),
        finish_reason: fc.oneof(
          { weight: 8, arbitrary: fc.constant(null) },
          fc.constantFrom("stop", "length", "a", "")
        ),
        matched_stop: fc.constantFrom(null, 2)
      },
      { requiredKeys: [] }
    ),
    fc.boolean()
  )
  .map(([content, rest, first]) => (first ? { ...content, ...rest } : { ...rest, ...content }))

const choices = fc.oneof(
  { weight: 12, arbitrary: choice.map((choice) => [choice]) },
  { weight: 1, arbitrary: fc.array(choice, { maxLength: 3 }) },
  { weight: 1, arbitrary: fc.constantFrom(null, [], [{}]) }
)

const error = fc.constantFrom(null, "overloaded", "", {}, { message: "m", code: null }, { message: "a", code: 429 })

const chunk = fc
  .tuple(
    fc.record({ choices }),
    extraFields,
    fc.record({ usage }, { requiredKeys: [] }),
    fc.oneof({ weight: 20, arbitrary: fc.constant({}) }, fc.record({ error })),
    fc.boolean()
  )
  .map(([choices, extra, usage, error, first]): object =>
    first ? { ...choices, ...extra, ...usage, ...error } : { ...extra, ...error, ...usage, ...choices }
  )

/** How servers write JSON: tightly, with spaces as Python does, all but ASCII escaped, or over several lines. */
const writers: ReadonlyArray<(chunk: object) => string> = [
  (chunk) => JSON.stringify(chunk),
  (chunk) =>
    JSON.stringify(chunk, null, 1)
      .replaceAll(/\n\s*/g, " ")
      .replaceAll(/([{[]) | ([}\]])/g, "$1$2"),
  (chunk) =>
    JSON.stringify(chunk).replaceAll(
      /[^\u0000-\u007e]/g,
      (unit) => String.raw`\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`
    ),
  (chunk) => JSON.stringify(chunk, null, 1)
]

/** Puts another text in the place of every text of one field, and keeps the rest of the chunk. */
const withTexts = (chunk: object, field: string, text: string): object =>
  JSON.parse(JSON.stringify(chunk), (key, value) => (key === field && typeof value === "string" ? text : value))

const textField = fc.constantFrom(
  "content",
  "reasoning_content",
  "reasoning",
  "text",
  "arguments",
  "id",
  "token",
  "obfuscation"
)

/** A run of chunks that are the same but for one text, as they are within an answer. */
const similar = fc
  .tuple(chunk, fc.array(fc.tuple(textField, token), { maxLength: 6 }))
  .map(([chunk, changes]) => [chunk, ...changes.map(([field, text]) => withTexts(chunk, field, text))])

/** What no writer of JSON makes, but JSON allows; and events that are no chunks. */
const odd = fc.constantFrom(
  `{"choices":[{"delta":{"content":"a"},"delta":{"content":"b"}}]}`,
  `{"choices":[{"delta":{"content":"x","content":"a"}}]}`,
  `{"id":"␂","choices":[{"delta":{"content":"␂"}}]}`,
  `{"id":"b","choices":[{"delta":{"content":"␂"}}]}`,
  `{"choices":[{"delta":{"reasoning_content":"a","reasoning":"b"}}]}`,
  `{"choices":[{"delta":{"reasoning_content":"","reasoning":"b"}}]}`,
  `{"__proto__":{"choices":[{"text":"a"}]},"choices":[{"text":"b"}]}`,
  ` {"choices":[{"text":"a"}]} `,
  `{"object":"error","message":"m","code":400}`,
  "[DONE]",
  " [DONE] ",
  "{",
  `{"choices":[{"text":"a`
)

export const datas: fc.Arbitrary<ReadonlyArray<string>> = fc
  .array(
    fc.oneof(
      {
        weight: 10,
        arbitrary: fc
          .tuple(similar, fc.constantFrom(...writers))
          .map(([chunks, write]) => chunks.map((chunk) => write(chunk)))
      },
      { weight: 1, arbitrary: fc.array(odd, { minLength: 1, maxLength: 3 }) }
    ),
    { maxLength: 6 }
  )
  .map((runs) => runs.flat())

const eventName = fc.oneof({ weight: 12, arbitrary: fc.constant("") }, fc.constantFrom("message", "delta", "error"))

const between = fc.oneof(
  { weight: 8, arbitrary: fc.constant("") },
  fc.constantFrom(": ping", "id: 1", "retry: 3000", ":")
)

const style = fc.record({
  newline: fc.oneof({ weight: 4, arbitrary: fc.constant("\n") }, fc.constantFrom("\r\n", "\r")),
  space: fc.oneof({ weight: 4, arbitrary: fc.constant(" ") }, fc.constant("")),
  bom: fc.oneof({ weight: 6, arbitrary: fc.constant("") }, fc.constant("\uFEFF"))
})

/** A whole answer, cut off at its end in one of three cases. */
export const answer: fc.Arbitrary<Buffer> = fc
  .tuple(
    datas,
    style,
    fc.infiniteStream(fc.tuple(eventName, between)),
    fc.oneof({ weight: 2, arbitrary: fc.constant(undefined) }, fc.nat(1_000_000))
  )
  .map(([datas, { bom, newline, space }, around, cutAt]) => {
    const events = datas.map((data) => {
      const [name, comment] = around.next().value
      const lines = data.split("\n").map((line) => `data:${space}${line}`)
      if (name !== "") lines.unshift(`event:${space}${name}`)
      if (comment !== "") lines.unshift(comment)
      return `${lines.join(newline)}${newline}${newline}`
    })
    const body = Buffer.from(bom + events.join(""))
    return cutAt === undefined ? body : body.subarray(0, cutAt % (body.length + 1))
  })
