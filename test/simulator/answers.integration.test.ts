import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import tokenizer from "llama-tokenizer-js"
import { judge } from "../../src/metrics/CorrectnessSink.ts"
import * as HttpFront from "../../src/simulator/HttpFront.ts"
import * as Latency from "../../src/simulator/Latency.ts"
import * as ModelServer from "../../src/simulator/ModelServer.ts"
import * as CorrectnessWorkload from "../../src/workload/CorrectnessWorkload.ts"
import { signed } from "./internal/dialects/aws.ts"
import { dataOf } from "./rawClient.ts"

const atOnce = { ttft: Latency.constant(0), itl: Latency.constant(0) }

const serve = Effect.fnUntraced(function* (model: Parameters<typeof ModelServer.ModelServerOptions.make>[0] = {}) {
  const front = HttpFront.layer(HttpFront.HttpFrontOptions.make({}))
  const server = ModelServer.layer(ModelServer.ModelServerOptions.make({ ...atOnce, ...model }))
  const context = yield* Layer.build(Layer.provide(front, server))
  return Context.get(context, HttpFront.HttpFront).url
})

const anybody = {
  "content-type": "application/json",
  authorization: "Bearer any",
  "x-api-key": "any",
  "x-goog-api-key": "any",
  "anthropic-version": "2023-06-01"
}

const post = (url: string, path: string, body: object, headers: { readonly [name: string]: string } = anybody) =>
  Effect.promise(async () => {
    const response = await fetch(url + path, { method: "POST", body: JSON.stringify(body), headers })
    return { status: response.status, text: await response.text() }
  })

/** With the signature that SageMaker asks for; the client adds the host itself. */
const postSigned = Effect.fnUntraced(function* (url: string, path: string, body: object) {
  const { host } = new URL(url)
  const incoming = {
    method: "POST",
    path,
    query: new URLSearchParams(),
    headers: { host, "content-type": "application/json" },
    body: Buffer.from(JSON.stringify(body))
  }
  const { headers } = yield* Effect.promise(() => signed(incoming, "sagemaker"))
  const { host: _, ...sent } = headers
  const texts = Object.entries(sent).flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]))
  return yield* post(url, path, body, Object.fromEntries(texts))
})

const chat = "/v1/chat/completions"

const messages = (number: number) => [
  { role: "system", content: "You are a calculator. Answer in 1 line." },
  { role: "user", content: [{ type: "text", text: CorrectnessWorkload.prompt(number) }] }
]

/** The answer to a question, whole. */
const answered = Effect.fnUntraced(function* (url: string, number: number, more: object = {}) {
  const { status, text } = yield* post(url, chat, { model: "sim", messages: messages(number), ...more })
  assert.strictEqual(status, 200)
  const { choices, usage } = JSON.parse(text)
  const message: { readonly content: string; readonly reasoning_content?: string } = choices[0].message
  return { message, text: message.content, reason: choices[0].finish_reason, usage }
})

const numbers = [0, 1, 12, 345, 1_000, 2_345, 9_876, 10_000]

describe("a simulated model that is asked for a number", () => {
  it.live("streams the right one, token by token", () =>
    Effect.gen(function* () {
      const url = yield* serve()
      for (const number of numbers) {
        const { text } = yield* post(url, chat, {
          model: "sim",
          messages: messages(number),
          stream: true,
          stream_options: { include_usage: true }
        })
        const events = dataOf(text)
          .filter((data) => data !== "[DONE]")
          .map((data) => JSON.parse(data))
        const pieces = events.map((event) => event.choices[0]?.delta.content ?? "").filter((piece) => piece !== "")
        const answer = pieces.join("")
        assert.strictEqual(judge(answer, number), "correct")
        const tokens = tokenizer.encode(answer, false, true).length
        assert.lengthOf(pieces, tokens)
        assert.strictEqual(events.at(-1).usage.completion_tokens, tokens)
        assert.include(
          events.map((event) => event.choices[0]?.finish_reason),
          "stop"
        )
      }
    })
  )

  it.live("gives it whole too, and to the older completions", () =>
    Effect.gen(function* () {
      const url = yield* serve()
      for (const number of numbers) {
        const { reason, text } = yield* answered(url, number)
        assert.strictEqual(judge(text, number), "correct")
        assert.strictEqual(reason, "stop")
        const older = yield* post(url, "/v1/completions", { model: "sim", prompt: CorrectnessWorkload.prompt(number) })
        assert.strictEqual(judge(JSON.parse(older.text).choices[0].text, number), "correct")
      }
    })
  )

  it.live("stops where it is told to", () =>
    Effect.gen(function* () {
      const url = yield* serve()
      const { reason, usage } = yield* answered(url, 2_345, { max_tokens: 2 })
      assert.strictEqual(usage.completion_tokens, 2)
      assert.strictEqual(reason, "length")
    })
  )

  it.live("thinks before it answers", () =>
    Effect.gen(function* () {
      const url = yield* serve()
      const { message, usage } = yield* answered(url, 2_345, { model: "sim;reason=12" })
      assert.strictEqual(judge(message.content, 2_345), "correct")
      assert.strictEqual(message.reasoning_content?.split(" ").length, 12)
      assert.strictEqual(usage.completion_tokens_details.reasoning_tokens, 12)
    })
  )

  it.live("errs as often as it is told, the same way with the same seed", () =>
    Effect.gen(function* () {
      const judged = Effect.fnUntraced(function* (options: Parameters<typeof serve>[0]) {
        const url = yield* serve(options)
        const texts = yield* Effect.forEach(Array.from({ length: 100 }).keys(), (i) => answered(url, i * 97))
        return { texts: texts.map(({ text }) => text), verdicts: texts.map(({ text }, i) => judge(text, i * 97)) }
      })
      const rates = { wrongRate: 0.3, silentRate: 0.2 }
      const first = yield* judged({ ...rates, seed: 5 })
      const again = yield* judged({ ...rates, seed: 5 })
      const other = yield* judged({ ...rates, seed: 6 })
      assert.deepStrictEqual(again, first)
      assert.notDeepEqual(other.verdicts, first.verdicts)
      const count = (verdict: string) => first.verdicts.filter((each) => each === verdict).length
      assert.closeTo(count("mismatch"), 30, 15)
      assert.closeTo(count("no_number"), 20, 13)
      const always = yield* judged({ silentRate: 1 })
      assert.deepStrictEqual(new Set(always.verdicts), new Set(["no_number"]))
    })
  )

  it.live("writes words to every other prompt, as many as asked", () =>
    Effect.gen(function* () {
      const url = yield* serve({ wrongRate: 1 })
      const { text } = yield* post(url, chat, {
        model: "sim",
        max_tokens: 7,
        messages: [{ role: "user", content: "Convert this into a number: seven." }]
      })
      const answer: string = JSON.parse(text).choices[0].message.content
      assert.match(answer, /^[a-z]+( [a-z]+){6}$/)
    })
  )

  it.live.each<[name: string, path: string, ask: (prompt: string) => object, textOf: (body: string) => string]>([
    [
      "Anthropic's messages",
      "/v1/messages",
      (content) => ({ max_tokens: 64, messages: [{ role: "user", content }] }),
      (body) => JSON.parse(body).content[0].text
    ],
    [
      "OpenAI's responses",
      "/v1/responses",
      (input) => ({ input }),
      (body) => JSON.parse(body).output[0].content[0].text
    ],
    [
      "Ollama's chat",
      "/api/chat",
      (content) => ({ messages: [{ role: "user", content }] }),
      (body) => JSON.parse(body).message.content
    ],
    ["Ollama's generate", "/api/generate", (prompt) => ({ prompt }), (body) => JSON.parse(body).response],
    [
      "Gemini",
      "/v1beta/models/sim:generateContent",
      (text) => ({ contents: [{ role: "user", parts: [{ text }] }] }),
      (body) => JSON.parse(body).candidates[0].content.parts[0].text
    ],
    [
      "Vertex AI's predict",
      "/v1/projects/p/locations/l/endpoints/1:predict",
      (prompt) => ({ instances: [{ prompt }] }),
      (body) => JSON.parse(body).predictions[0].split("\nOutput:\n").at(-1)
    ],
    [
      "SageMaker",
      "/endpoints/sim/invocations",
      (content) => ({ inputs: [[{ role: "user", content }]] }),
      (body) => JSON.parse(body)[0].generation.content
    ],
    [
      "Bedrock",
      "/model/sim/converse",
      (text) => ({ messages: [{ role: "user", content: [{ text }] }] }),
      (body) => JSON.parse(body).output.message.content[0].text
    ],
    ["TGI", "/generate", (inputs) => ({ inputs }), (body) => JSON.parse(body).generated_text]
  ])("does so in the format of %s", ([, path, ask, textOf]) =>
    Effect.gen(function* () {
      const url = yield* serve()
      const send = path.startsWith("/endpoints/") ? postSigned : post
      for (const number of numbers) {
        const body = { model: "sim", stream: false, ...ask(CorrectnessWorkload.prompt(number)) }
        const { status, text } = yield* send(url, path, body)
        assert.strictEqual(status, 200, text)
        assert.strictEqual(judge(textOf(text), number), "correct", text)
      }
    })
  )
})
