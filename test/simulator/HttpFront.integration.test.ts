import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import tokenizer from "llama-tokenizer-js"
import { connect } from "node:net"
import { constants, gunzipSync } from "node:zlib"
import * as Fault from "../../src/simulator/Fault.ts"
import * as HttpFront from "../../src/simulator/HttpFront.ts"
import * as Latency from "../../src/simulator/Latency.ts"
import * as ModelServer from "../../src/simulator/ModelServer.ts"
import { PromptTokens } from "../../src/simulator/PromptTokens.ts"
import { bodyOf, dataOf, exchange, type Raw, request } from "./rawClient.ts"

const atOnce = { ttft: Latency.constant(0), itl: Latency.constant(0) }

/** A server until the end of the test; it answers at once unless the test says otherwise. */
const serve = Effect.fnUntraced(function* (
  model: Parameters<typeof ModelServer.ModelServerOptions.make>[0] = {},
  http: Parameters<typeof HttpFront.HttpFrontOptions.make>[0] = {}
) {
  const front = HttpFront.layer(HttpFront.HttpFrontOptions.make(http))
  const server = ModelServer.layer(ModelServer.ModelServerOptions.make({ ...atOnce, ...model }))
  const context = yield* Layer.build(Layer.provide(front, server))
  return Context.get(context, HttpFront.HttpFront)
})

const chat = "/v1/chat/completions"

const messages = [{ role: "user", content: "x".repeat(400) }]

const streamed = (model: string, more: object = {}) =>
  JSON.stringify({ model, messages, max_tokens: 5, stream: true, ...more })

const post = (
  url: string,
  body: string,
  path = chat,
  headers: { readonly [name: string]: string } = {},
  enough?: (raw: Raw) => boolean
) => exchange(url, request("POST", path, body, headers), enough)

const get = (url: string, path: string) => exchange(url, request("GET", path))

const json = (raw: Raw) => JSON.parse(bodyOf(raw))

const errorOf = (raw: Raw): { readonly message: string; readonly [field: string]: unknown } => json(raw).error

/** The events of a stream as JSON, without [DONE]. */
const eventsOf = (text: string) =>
  dataOf(text)
    .filter((data) => data !== "[DONE]")
    .map((data) => JSON.parse(data))

/** The text of the answer: what the deltas add up to. */
const contentOf = (text: string, field = "content"): string =>
  eventsOf(text)
    .map((event) => event.choices?.[0]?.delta?.[field] ?? "")
    .join("")

const count = (text: string): number => tokenizer.encode(text, false, true).length

/** Asks until the answer is as wanted; the server needs a moment to see that a client left. */
const eventually = (url: string, path: string, wanted: (body: ReturnType<typeof json>) => boolean) =>
  get(url, path).pipe(
    Effect.map(json),
    Effect.repeat({ until: wanted, schedule: Schedule.spaced(5) }),
    Effect.timeout("10 seconds")
  )

describe("HttpFront", () => {
  describe("the wire", () => {
    it.live("counts none of the requests that it answers before it listens", () =>
      Effect.gen(function* () {
        const prompts: Array<string> = []
        const { url } = yield* Effect.provideService(serve({}, { rehearse: true }), PromptTokens, (text) => {
          prompts.push(text)
          return 1
        })
        assert.isAtLeast(new Set(prompts).size, 8)
        const stats = json(yield* get(url, "/_stats"))
        assert.deepInclude(stats, { requests: 0, connections: 1 })
        assert.deepInclude(stats.model, { completed: 0, tokens: 0 })
      }).pipe(Effect.scoped)
    )

    it.live("streams a chat: role, content, finish reason, usage, [DONE]", () =>
      Effect.gen(function* () {
        const { url } = yield* serve()
        const raw = yield* post(url, streamed("sim", { stream_options: { include_usage: true } }), chat, {
          "X-Request-Id": "run-17"
        })
        assert.deepInclude(raw, { status: 200, complete: true })
        assert.deepInclude(raw.headers, {
          "content-type": "text/event-stream; charset=utf-8",
          "cache-control": "no-cache",
          "transfer-encoding": "chunked",
          "x-request-id": "run-17"
        })
        const text = bodyOf(raw)
        assert.strictEqual(dataOf(text).at(-1), "[DONE]")
        const events = eventsOf(text)
        for (const event of events) {
          assert.deepInclude(event, { object: "chat.completion.chunk", model: "sim", id: events[0].id })
          assert.isAbove(event.created, 1.6e9)
        }
        const [first, ...others] = events
        assert.deepStrictEqual(first.choices, [
          { index: 0, delta: { role: "assistant", content: "" }, logprobs: null, finish_reason: null }
        ])
        const [usage, finish] = others.toReversed()
        assert.deepStrictEqual(finish.choices, [{ index: 0, delta: {}, logprobs: null, finish_reason: "length" }])
        assert.deepStrictEqual(usage.choices, [])
        assert.deepStrictEqual(usage.usage, {
          prompt_tokens: 100,
          completion_tokens: 5,
          total_tokens: 105,
          prompt_tokens_details: { cached_tokens: 0 },
          completion_tokens_details: { reasoning_tokens: 0 }
        })
        assert.strictEqual(count(contentOf(text)), 5)
        assert.strictEqual(events.filter((event) => event.choices[0]?.delta?.content).length, 5)
      })
    )

    it.live("sends usage only when asked", () =>
      Effect.gen(function* () {
        const { url } = yield* serve()
        for (const more of [{}, { stream_options: {} }, { stream_options: { include_usage: false } }]) {
          const text = bodyOf(yield* post(url, streamed("sim", more)))
          assert.notInclude(text, "usage")
          assert.notInclude(
            yield* Effect.map(post(url, streamed("sim", more)), ({ headers }) => Object.keys(headers)),
            "x-request-id"
          )
        }
      })
    )

    it.live("streams legacy completions", () =>
      Effect.gen(function* () {
        const { url } = yield* serve()
        const body = JSON.stringify({ model: "sim", prompt: "y".repeat(40), max_tokens: 3, stream: true })
        const text = bodyOf(yield* post(url, body, "/v1/completions"))
        const events = eventsOf(text)
        assert.isTrue(events.every((event) => event.object === "text_completion"))
        assert.strictEqual(count(events.map((event) => event.choices[0].text).join("")), 3)
        assert.strictEqual(events.at(-1).choices[0].finish_reason, "length")
        assert.strictEqual(dataOf(text).at(-1), "[DONE]")
      })
    )

    it.live("answers whole without stream", () =>
      Effect.gen(function* () {
        const { url } = yield* serve()
        const answer = yield* post(url, streamed("sim", { stream: false }), chat, { "x-request-id": "a" })
        assert.deepInclude(answer.headers, { "content-type": "application/json", "x-request-id": "a" })
        const body = json(answer)
        assert.strictEqual(body.object, "chat.completion")
        assert.deepInclude(body.choices[0], { index: 0, finish_reason: "length" })
        assert.strictEqual(body.choices[0].message.role, "assistant")
        assert.strictEqual(count(body.choices[0].message.content), 5)
        assert.deepInclude(body.usage, { prompt_tokens: 100, completion_tokens: 5, total_tokens: 105 })
        const prompt = JSON.stringify({ model: "sim", prompt: [1, 2, 3], max_tokens: 4 })
        const legacy = json(yield* post(url, prompt, "/v1/completions"))
        assert.strictEqual(legacy.object, "text_completion")
        assert.strictEqual(count(legacy.choices[0].text), 4)
        assert.deepInclude(legacy.usage, { prompt_tokens: 3, completion_tokens: 4 })
      })
    )

    it.live("takes the number of tokens from max_completion_tokens, max_tokens, its own default", () =>
      Effect.gen(function* () {
        const { url } = yield* serve({ defaultOutputTokens: 7 })
        const run = (more: object) =>
          Effect.map(post(url, JSON.stringify({ model: "sim", messages, ...more })), (raw) => {
            const { choices, usage } = json(raw)
            return [usage.completion_tokens, choices[0].finish_reason]
          })
        assert.deepStrictEqual(yield* run({ max_tokens: 3 }), [3, "length"])
        assert.deepStrictEqual(yield* run({ max_tokens: 3, max_completion_tokens: 2 }), [2, "length"])
        assert.deepStrictEqual(yield* run({}), [7, "stop"])
        assert.deepStrictEqual(yield* run({ max_tokens: null }), [7, "stop"])
        assert.deepStrictEqual(yield* run({ max_tokens: 9, model: "sim;n=4" }), [4, "stop"])
      })
    )

    it.live("counts text parts of a message", () =>
      Effect.gen(function* () {
        const { url } = yield* serve()
        const parts = [
          { type: "text", text: "z".repeat(80) },
          { type: "image_url", image_url: { url: "data:" } }
        ]
        const body = JSON.stringify({ model: "sim", messages: [{ role: "user", content: parts }], max_tokens: 1 })
        assert.strictEqual(json(yield* post(url, body)).usage.prompt_tokens, 20)
      })
    )

    it.live("knows models, health, and paths without /v1", () =>
      Effect.gen(function* () {
        const { host, port, url } = yield* serve()
        assert.strictEqual(url, `http://${host}:${port}`)
        assert.strictEqual(host, "127.0.0.1")
        assert.deepInclude(json(yield* get(url, "/v1/models")).data[0], { id: "sim", object: "model" })
        assert.strictEqual((yield* get(url, "/health")).status, 200)
        assert.strictEqual((yield* post(url, streamed("sim"), "/chat/completions?x=1")).status, 200)
      })
    )

    it.live("answers what it does not understand with OpenAI's error object", () =>
      Effect.gen(function* () {
        const { url } = yield* serve({ kvTokens: 200 })
        const cases = [
          [yield* post(url, "{"), 400, "could not read the body"],
          [yield* post(url, `{"messages":[]}`), 400, `["model"]`],
          [yield* post(url, streamed("sim", { max_tokens: 0 })), 400, `["max_tokens"]`],
          [yield* post(url, streamed("sim;speed=3")), 400, `Unknown setting "speed"`],
          [yield* post(url, streamed("sim;fault=nothing")), 400, "stall"],
          [yield* post(url, streamed("sim", { max_tokens: 150 })), 400, "KV cache"],
          [yield* post(url, "{}", "/v1/embeddings"), 404, "/v1/embeddings"],
          [yield* get(url, "/"), 404, "GET /"],
          [yield* get(url, "/_truth"), 404, "truth"],
          [yield* get(url, chat), 405, "POST"]
        ] as const
        for (const [raw, status, message] of cases) {
          assert.strictEqual(raw.status, status)
          assert.strictEqual(raw.headers["content-type"], "application/json")
          const error = errorOf(raw)
          assert.include(error.message, message)
          assert.deepInclude(error, { type: "invalid_request_error" })
        }
        assert.deepInclude(json(yield* get(url, "/_stats")), { bad: 9, live: 0 })
      })
    )

    it.live("answers pipelined requests and HTTP/1.0", () =>
      Effect.gen(function* () {
        const { url } = yield* serve({ itl: Latency.constant(0.001) })
        const one = request("POST", chat, streamed("sim"))
        const last = request("POST", chat, streamed("sim", { max_tokens: 1 }), { connection: "close" })
        const both = yield* exchange(url, one + last)
        assert.deepInclude(both, { status: 200, complete: true })
        const old = yield* exchange(url, request("POST", chat, streamed("sim"), {}, "1.0"))
        assert.deepInclude(old, { status: 200, stopped: "FIN" })
        assert.isUndefined(old.headers["transfer-encoding"])
        assert.isTrue(bodyOf(old).startsWith("data: {"))
        assert.isTrue(bodyOf(old).endsWith("data: [DONE]\n\n"))
        assert.strictEqual(count(contentOf(bodyOf(old))), 5)
        const second = yield* Effect.callback<string>((resume) => {
          let text = ""
          const socket = connect(Number(new URL(url).port), "127.0.0.1", () => socket.write(one + last))
          socket.on("data", (data) => {
            text += data.toString("utf8")
          })
          socket.on("end", () => resume(Effect.succeed(text)))
        })
        assert.strictEqual(second.split("HTTP/1.1 200 OK").length, 3)
        assert.strictEqual(second.split("[DONE]").length, 3)
      })
    )
  })

  describe("time", () => {
    it.live("sends each chunk on its own, when it is ready", () =>
      Effect.gen(function* () {
        const { url } = yield* serve({}, { truth: true })
        const raw = yield* post(url, streamed("sim;ttft=40;itl=10;n=4"), chat, { "x-request-id": "r-1" })
        assert.strictEqual(raw.chunks.length, 4)
        const [line = ""] = bodyOf(yield* get(url, "/_truth")).split("\n")
        const truth: {
          readonly id: number
          readonly rid: string
          readonly recv: number
          readonly ok: boolean
          readonly tokens: ReadonlyArray<number>
        } = JSON.parse(line)
        assert.deepInclude(truth, { id: 1, rid: "r-1", ok: true })
        assert.strictEqual(truth.tokens.length, 4)
        truth.tokens.forEach((at, i) => {
          // Stamps are rounded to the microsecond; a timer is never early.
          assert.isAtLeast(at - truth.recv, 0.04 + i * 0.01 - 1e-5)
        })
        assert.strictEqual(bodyOf(yield* get(url, "/_truth")), "")
      })
    )

    it.live("draws the same for the same number at the end of x-request-id", () =>
      Effect.gen(function* () {
        const { url } = yield* serve()
        const ask = (id: string) =>
          Effect.map(post(url, streamed("sim", { max_tokens: 30 }), chat, { "x-request-id": id }), (raw) =>
            contentOf(bodyOf(raw))
          )
        const reference = yield* ask("one-5")
        assert.notStrictEqual(yield* ask("one-6"), reference)
        assert.strictEqual(yield* ask("two-5"), reference)
      })
    )

    it.live("keeps requests waiting when the batch is full, and frees a place when a client leaves", () =>
      Effect.gen(function* () {
        const { url } = yield* serve({ maxBatch: 1 })
        const slow = yield* Effect.forkChild(post(url, streamed("sim;itl=60000")))
        yield* eventually(url, "/_stats", (stats) => stats.model.batch === 1)
        const quick = yield* Effect.forkChild(post(url, streamed("sim")))
        yield* eventually(url, "/_stats", (stats) => stats.model.queued === 1 && stats.live === 2)
        yield* Fiber.interrupt(slow)
        assert.isTrue((yield* Fiber.join(quick)).complete)
        const stats = yield* eventually(url, "/_stats", (body) => body.live === 0)
        assert.deepInclude(stats, { requests: 2, bad: 0, refused: 0 })
        assert.deepInclude(stats.model, { completed: 1, cancelled: 1, batch: 0, kvTokens: 0 })
      })
    )

    it.live("starts the peak of live requests anew at each call", () =>
      Effect.gen(function* () {
        const { url } = yield* serve()
        const fibers = yield* Effect.forEach([1, 2, 3], () => Effect.forkChild(post(url, streamed("sim;ttft=60000"))))
        yield* eventually(url, "/_stats", (stats) => stats.live === 3)
        yield* Effect.forEach(fibers, Fiber.interrupt)
        yield* eventually(url, "/_stats", (stats) => stats.live === 0)
        assert.strictEqual(json(yield* get(url, "/_stats")).peakLive, 0)
        yield* post(url, streamed("sim"))
        assert.strictEqual(json(yield* get(url, "/_stats")).peakLive, 1)
      })
    )

    it.live("waits for a client that does not read, and sends all when it does", () =>
      Effect.gen(function* () {
        const { port, url } = yield* serve()
        const tokens = 200_000
        const socket = yield* Effect.acquireRelease(
          Effect.sync(() => connect(port, "127.0.0.1").pause()),
          (open) => Effect.sync(() => open.destroy())
        )
        socket.write(request("POST", chat, streamed("sim", { max_tokens: tokens }), { connection: "close" }))
        const stats = yield* eventually(url, "/_stats", (body) => body.model.completed === 1)
        assert.strictEqual(stats.live, 1)
        const received = yield* Effect.callback<number>((resume) => {
          let text = ""
          socket.on("data", (data) => {
            text += data.toString("latin1")
          })
          socket.on("end", () => resume(Effect.succeed(text.split(`"delta":{"content":"`).length - 1)))
          socket.resume()
        })
        assert.strictEqual(received, tokens)
      })
    )
  })

  describe("faults", () => {
    /** Asks with one fault; the model needs no time. */
    const ask = Effect.fnUntraced(function* (fault: string, more: object = {}, enough?: (raw: Raw) => boolean) {
      const { url } = yield* serve()
      return yield* post(url, streamed(`sim;fault=${fault}`, more), chat, { "x-request-id": "f-1" }, enough)
    })

    /** The last event of an answer that an error ends after two tokens. */
    const lastEvent = (fault: string) =>
      Effect.map(ask(fault), (raw) => {
        assert.deepInclude(raw, { status: 200, complete: true })
        const text = bodyOf(raw)
        assert.strictEqual(count(contentOf(text)), 2)
        assert.notInclude(text, "[DONE]")
        return eventsOf(text).at(-1)
      })

    it.live.each([
      ["401", 401, "invalid_api_key", undefined],
      ["404", 404, "model_not_found", undefined],
      ["429", 429, "rate_limit_exceeded", "1"],
      ["500", 500, null, undefined],
      ["503", 503, "overloaded", "1"]
    ] as const)("%s", ([fault, status, code, retryAfter]) =>
      Effect.gen(function* () {
        const raw = yield* ask(fault)
        assert.strictEqual(raw.status, status)
        assert.strictEqual(errorOf(raw).code, code)
        assert.strictEqual(raw.headers["retry-after"], retryAfter)
        assert.strictEqual(raw.headers["x-request-id"], "f-1")
        assert.strictEqual(raw.headers["x-ratelimit-remaining-requests"], fault === "429" ? "0" : undefined)
      })
    )

    it.live("429:3 hits every third request, 500@P% a share of them", () =>
      Effect.gen(function* () {
        const { url } = yield* serve()
        const statuses = (model: string, requests: number) =>
          Effect.forEach(Array.from({ length: requests }), () =>
            Effect.map(post(url, streamed(model)), ({ status }) => status)
          )
        assert.deepStrictEqual(yield* statuses("sim;fault=429:3", 6), [200, 200, 429, 200, 200, 429])
        const share = yield* statuses("sim;fault=500@50%", 100)
        const hit = share.filter((status) => status === 500).length
        assert.isTrue(hit > 25 && hit < 75)
      })
    )

    it.live("faults of the server hit whoever asks", () =>
      Effect.gen(function* () {
        const { url } = yield* serve({ faults: [yield* Schema.decodeEffect(Fault.FaultFromString)("503:2")] })
        assert.strictEqual((yield* post(url, streamed("sim"))).status, 200)
        assert.strictEqual((yield* post(url, streamed("sim"))).status, 503)
        assert.deepInclude(json(yield* get(url, "/_stats")), { refused: 1, bad: 0, requests: 2 })
      })
    )

    it.live("html and html-200 are pages", () =>
      Effect.gen(function* () {
        for (const [fault, status] of [
          ["html", 502],
          ["html-200", 200]
        ] as const) {
          const raw = yield* ask(fault)
          assert.strictEqual(raw.status, status)
          assert.include(raw.headers["content-type"], "text/html")
          assert.include(bodyOf(raw), "<html>")
        }
      })
    )

    it.live("redirect names an address that answers", () =>
      Effect.gen(function* () {
        const { url } = yield* serve()
        const body = streamed("sim;fault=redirect")
        const raw = yield* post(url, body)
        assert.strictEqual(raw.status, 307)
        assert.strictEqual(raw.headers["location"], `/redirected${chat}`)
        const followed = yield* post(url, body, raw.headers["location"])
        assert.strictEqual(count(contentOf(bodyOf(followed))), 5)
      })
    )

    it.live("no-usage refuses stream_options and nothing else", () =>
      Effect.gen(function* () {
        const refused = yield* ask("no-usage", { stream_options: { include_usage: true } })
        assert.strictEqual(refused.status, 400)
        assert.include(errorOf(refused).message, "stream_options")
        assert.strictEqual(errorOf(refused)["param"], "stream_options")
        assert.strictEqual((yield* ask("no-usage")).status, 200)
      })
    )

    it.live("status-201 streams as usual", () =>
      Effect.gen(function* () {
        const raw = yield* ask("status-201")
        assert.strictEqual(raw.status, 201)
        assert.strictEqual(count(contentOf(bodyOf(raw))), 5)
      })
    )

    it.live("slow-headers waits before the headers", () =>
      Effect.gen(function* () {
        const { url } = yield* serve({}, { truth: true })
        const raw = yield* post(url, streamed("sim;fault=slow-headers:60"))
        assert.isTrue(raw.complete)
        const { recv, tokens } = JSON.parse(bodyOf(yield* get(url, "/_truth")))
        assert.isAtLeast(tokens[0] - recv, 0.059)
      })
    )

    it.live("reset tears the connection down after n tokens", () =>
      Effect.gen(function* () {
        const raw = yield* ask("reset:2")
        assert.deepInclude(raw, { status: 200, complete: false, stopped: "ECONNRESET" })
        assert.strictEqual(count(contentOf(bodyOf(raw))), 2)
        assert.strictEqual(contentOf(bodyOf(yield* ask("reset"))), "")
      })
    )

    it.live("close ends the connection in the middle of the body", () =>
      Effect.gen(function* () {
        const raw = yield* ask("close:2")
        assert.deepInclude(raw, { status: 200, complete: false, stopped: "FIN" })
        assert.strictEqual(count(contentOf(bodyOf(raw))), 2)
      })
    )

    it.live("cut ends the body without finish reason and [DONE]", () =>
      Effect.gen(function* () {
        const raw = yield* ask("cut:3")
        assert.deepInclude(raw, { status: 200, complete: true })
        const text = bodyOf(raw)
        assert.strictEqual(count(contentOf(text)), 3)
        assert.notInclude(text, "[DONE]")
        assert.isTrue(eventsOf(text).every((event) => event.choices[0].finish_reason === null))
      })
    )

    it.live("a fault after more tokens than are asked for does not happen", () =>
      Effect.gen(function* () {
        for (const fault of ["reset:5", "cut:9", "error:5", "stall:5"]) {
          const raw = yield* ask(fault)
          assert.isTrue(raw.complete)
          assert.strictEqual(dataOf(bodyOf(raw)).at(-1), "[DONE]")
        }
      })
    )

    it.live("stall sends nothing more and frees everything when the client leaves", () =>
      Effect.gen(function* () {
        const { url } = yield* serve()
        const client = yield* Effect.forkChild(post(url, streamed("sim;fault=stall:2")))
        yield* eventually(url, "/_stats", (stats) => stats.live === 1)
        const raw = yield* post(
          url,
          streamed("sim;fault=stall:2"),
          chat,
          {},
          (soFar) => count(contentOf(bodyOf(soFar))) >= 2
        )
        assert.strictEqual(count(contentOf(bodyOf(raw))), 2)
        assert.isFalse(raw.complete)
        yield* eventually(url, "/_stats", (stats) => stats.live === 1)
        yield* Fiber.interrupt(client)
        yield* eventually(url, "/_stats", (stats) => stats.live === 0 && stats.model.inFlight === 0)
      })
    )

    it.live("error objects in the stream, in four forms", () =>
      Effect.gen(function* () {
        const message = "The model is overloaded"
        assert.deepStrictEqual((yield* lastEvent("error:2")).error, {
          message,
          type: "server_error",
          param: null,
          code: 529
        })
        assert.deepStrictEqual(yield* lastEvent("error-string:2"), { error: message })
        assert.deepInclude(yield* lastEvent("error-vllm:2"), { object: "error", message, code: 500 })
        assert.deepInclude((yield* lastEvent("error-null-code:2")).error, { message, code: null })
      })
    )

    it.live("garbage sends one event that is not JSON and goes on", () =>
      Effect.gen(function* () {
        const data = dataOf(bodyOf(yield* ask("garbage:2")))
        assert.strictEqual(data.indexOf("{not json"), 3)
        assert.strictEqual(data.filter((text) => text === "{not json").length, 1)
        assert.strictEqual(data.at(-1), "[DONE]")
        assert.strictEqual(data.length, 1 + 5 + 1 + 1 + 1)
      })
    )

    it.live("nodone leaves [DONE] out, after-done goes on behind it", () =>
      Effect.gen(function* () {
        const nodone = bodyOf(yield* ask("nodone"))
        assert.notInclude(nodone, "[DONE]")
        assert.strictEqual(eventsOf(nodone).at(-1).choices[0].finish_reason, "length")
        const after = dataOf(bodyOf(yield* ask("after-done")))
        assert.deepStrictEqual(after.slice(-2), ["[DONE]", "{not json"])
      })
    )

    it.live("early-role sends the role with the headers", () =>
      Effect.gen(function* () {
        const slow = { model: "sim;ttft=60000;fault=early-role" }
        const raw = yield* ask("early-role", slow, (soFar) => soFar.chunks.length === 1)
        assert.deepStrictEqual(eventsOf(bodyOf(raw))[0].choices[0].delta, { role: "assistant", content: "" })
        const text = bodyOf(yield* ask("early-role"))
        assert.strictEqual(text.split(`"role"`).length, 2)
        assert.strictEqual(count(contentOf(text)), 5)
      })
    )

    it.live("empty-choices sends [] and [{}] before the content", () =>
      Effect.gen(function* () {
        const events = eventsOf(bodyOf(yield* ask("empty-choices")))
        assert.deepStrictEqual(
          events.slice(1, 3).map((event) => event.choices),
          [[], [{}]]
        )
        assert.strictEqual(events.length, 1 + 2 + 5 + 1)
      })
    )

    it.live("reasoning comes before the answer", () =>
      Effect.gen(function* () {
        const raw = yield* ask("reasoning:2", { stream_options: { include_usage: true } })
        const text = bodyOf(raw)
        const [reasoning, answer] = [contentOf(text, "reasoning_content"), contentOf(text)]
        assert.strictEqual(count(reasoning), 2)
        assert.strictEqual(count(reasoning + answer), 5)
        const { usage } = eventsOf(text).at(-1)
        assert.deepInclude(usage, { completion_tokens: 5, completion_tokens_details: { reasoning_tokens: 2 } })
        const whole = json(yield* ask("reasoning:2", { stream: false })).choices[0].message
        assert.deepInclude(whole, { reasoning_content: reasoning, content: answer })
      })
    )

    it.live("tool sends the text as arguments of a call", () =>
      Effect.gen(function* () {
        const events = eventsOf(bodyOf(yield* ask("tool")))
        assert.deepStrictEqual(events[0].choices[0].delta, {
          role: "assistant",
          content: null,
          tool_calls: [{ index: 0, id: "call_1", type: "function", function: { name: "write", arguments: "" } }]
        })
        const text = events.map((event) => event.choices[0].delta.tool_calls?.[0].function.arguments ?? "").join("")
        assert.strictEqual(count(text), 5)
        assert.strictEqual(events.at(-1).choices[0].finish_reason, "tool_calls")
        const { finish_reason, message } = json(yield* ask("tool", { stream: false })).choices[0]
        assert.strictEqual(finish_reason, "tool_calls")
        assert.isNull(message.content)
        assert.strictEqual(count(message.tool_calls[0].function.arguments), 5)
      })
    )

    it.live("utf8 has characters of 2, 3 and 4 bytes, which split cuts in two", () =>
      Effect.gen(function* () {
        const expected = Array.from({ length: 5 }, () => "né漢😀").join(" ")
        assert.strictEqual(contentOf(bodyOf(yield* ask("utf8"))), expected)
        const { url } = yield* serve()
        const raw = yield* post(url, streamed("sim;utf8;split"))
        assert.strictEqual(contentOf(bodyOf(raw)), expected)
        assert.isTrue(raw.chunks.every((chunk) => chunk.length <= 7))
        assert.isTrue(raw.chunks.some((chunk) => chunk.toString("utf8").includes("\uFFFD")))
      })
    )

    it.live("ping comments before each event with content", () =>
      Effect.gen(function* () {
        const text = bodyOf(yield* ask("ping"))
        assert.strictEqual(text.split("\n\n").filter((event) => event === ": ping").length, 5)
        assert.strictEqual(count(contentOf(text)), 5)
      })
    )

    it.live("crlf, no-space, bom and multi-line change how events are written and not what they say", () =>
      Effect.gen(function* () {
        const plain = contentOf(bodyOf(yield* ask("ping")))
        const crlf = bodyOf(yield* ask("crlf"))
        assert.notMatch(crlf, /[^\r]\n/)
        const bare = bodyOf(yield* ask("no-space"))
        assert.notInclude(bare, "data: ")
        assert.include(bare, "data:[DONE]")
        const bom = bodyOf(yield* ask("bom"))
        assert.isTrue(bom.startsWith("\uFEFFdata: "))
        assert.strictEqual(bom.lastIndexOf("\uFEFF"), 0)
        const lines = bodyOf(yield* ask("multi-line"))
        assert.strictEqual(lines.split("\n").filter((line) => line.startsWith(`data: "choices"`)).length, 1 + 5 + 1)
        const { url } = yield* serve()
        const all = bodyOf(
          yield* post(url, streamed("sim;crlf;no-space;bom;multi-line;ping"), chat, { "x-request-id": "f-1" })
        )
        for (const text of [crlf, bare, bom, lines, all]) {
          assert.strictEqual(contentOf(text), plain)
          assert.strictEqual(dataOf(text).at(-1), "[DONE]")
        }
      })
    )

    it.live("gzip flushes at each event", () =>
      Effect.gen(function* () {
        const raw = yield* ask("gzip")
        assert.strictEqual(raw.headers["content-encoding"], "gzip")
        assert.strictEqual(count(contentOf(gunzipSync(Buffer.concat([...raw.chunks])).toString("utf8"))), 5)
        const soFar = ({ chunks }: Raw): string =>
          chunks.length === 0
            ? ""
            : contentOf(
                gunzipSync(Buffer.concat([...chunks]), { finishFlush: constants.Z_SYNC_FLUSH }).toString("utf8")
              )
        const model = "sim;fault=gzip;fault=stall:2"
        const stalled = yield* ask("gzip", { model }, (unfinished) => count(soFar(unfinished)) === 2)
        assert.strictEqual(stalled.stopped, "enough")
        const cut = yield* ask("gzip", { model: "sim;fault=gzip;fault=cut:2" })
        assert.strictEqual(count(contentOf(gunzipSync(Buffer.concat([...cut.chunks])).toString("utf8"))), 2)
      })
    )

    it.live("without stream reset, close and stall act in place of the answer", () =>
      Effect.gen(function* () {
        const whole = { stream: false }
        assert.deepInclude(yield* ask("reset", whole), { status: 0, stopped: "ECONNRESET" })
        assert.deepInclude(yield* ask("close", whole), { status: 0, stopped: "FIN" })
        assert.strictEqual((yield* ask("cut", whole)).status, 200)
        const { url } = yield* serve()
        const stalled = yield* Effect.forkChild(post(url, streamed("sim;fault=stall", whole)))
        yield* eventually(url, "/_stats", (stats) => stats.live === 1 && stats.model.completed === 1)
        yield* Fiber.interrupt(stalled)
      })
    )
  })

  describe("other formats", () => {
    const question = "q".repeat(400)
    const formats = [
      {
        name: "anthropic",
        path: "/v1/messages",
        headers: { "x-api-key": "k", "anthropic-version": "2023-06-01" },
        body: (model: string, stream: boolean) => ({
          model,
          stream,
          max_tokens: 5,
          messages: [{ role: "user", content: question }]
        }),
        textOf: (raw: Raw) =>
          dataOf(bodyOf(raw))
            .map((data) => JSON.parse(data).delta?.text ?? "")
            .join(""),
        end: "message_stop",
        error: (body: ReturnType<typeof json>) => body.error.message,
        inStream: `"type":"overloaded_error"`
      },
      {
        name: "responses",
        path: "/v1/responses",
        headers: {},
        body: (model: string, stream: boolean) => ({ model, stream, max_output_tokens: 5, input: question }),
        textOf: (raw: Raw) =>
          dataOf(bodyOf(raw))
            .map((data) => JSON.parse(data))
            .map((event) => (event.type === "response.output_text.delta" ? event.delta : ""))
            .join(""),
        end: "response.incomplete",
        error: (body: ReturnType<typeof json>) => body.error.message,
        inStream: "response.failed"
      },
      {
        name: "ollama chat",
        path: "/api/chat",
        headers: {},
        body: (model: string, stream: boolean) => ({
          model,
          stream,
          options: { num_predict: 5 },
          messages: [{ role: "user", content: question }]
        }),
        textOf: (raw: Raw) =>
          bodyOf(raw)
            .split(/\r?\n/)
            .map((line) => (line === "" ? "" : (JSON.parse(line).message?.content ?? "")))
            .join(""),
        end: `"done":true`,
        error: (body: ReturnType<typeof json>) => body.error,
        inStream: `{"error":`
      },
      {
        name: "ollama generate",
        path: "/api/generate",
        headers: {},
        body: (model: string, stream: boolean) => ({ model, stream, options: { num_predict: 5 }, prompt: question }),
        textOf: (raw: Raw) =>
          bodyOf(raw)
            .split(/\r?\n/)
            .map((line) => (line === "" ? "" : (JSON.parse(line).response ?? "")))
            .join(""),
        end: `"done":true`,
        error: (body: ReturnType<typeof json>) => body.error,
        inStream: `{"error":`
      }
    ] as const

    describe.each(formats)("$name", ({ body, end, error, headers, inStream, path, textOf }) => {
      const send = (url: string, model: string, stream = true, more: object = {}, enough?: (raw: Raw) => boolean) =>
        post(url, JSON.stringify(body(model, stream)), path, { "x-request-id": "d-3", ...headers, ...more }, enough)

      it.live("answers in a stream and whole", () =>
        Effect.gen(function* () {
          const { url } = yield* serve({}, { truth: true })
          const raw = yield* send(url, "sim;per=2")
          assert.deepInclude(raw, { status: 200, complete: true })
          assert.deepInclude(raw.headers, { "transfer-encoding": "chunked", "x-request-id": "d-3" })
          assert.strictEqual(count(textOf(raw)), 5)
          assert.include(bodyOf(raw), end)
          assert.include(bodyOf(raw), "100")
          assert.notInclude(bodyOf(raw), "per=2")
          const whole = yield* send(url, "sim", false)
          assert.deepInclude(whole, { status: 200, complete: true })
          assert.strictEqual(whole.headers["content-type"], "application/json")
          assert.include(JSON.stringify(json(whole)), textOf(raw))
          const truth = bodyOf(yield* get(url, "/_truth"))
            .trim()
            .split("\n")
            .map((line) => JSON.parse(line))
          assert.deepStrictEqual(
            truth.map(({ ok, rid, tokens }) => [rid, ok, tokens.length]),
            [
              ["d-3", true, 3],
              ["d-3", true, 1]
            ]
          )
          assert.deepInclude(json(yield* get(url, "/_stats")), { requests: 2, bad: 0, refused: 0 })
        })
      )

      it.live("refuses in its own form", () =>
        Effect.gen(function* () {
          const { url } = yield* serve({ kvTokens: 200 })
          for (const status of [401, 404, 429, 500, 503]) {
            const raw = yield* send(url, `sim;fault=${status}`)
            assert.strictEqual(raw.status, status)
            assert.isString(error(json(raw)))
            assert.strictEqual(raw.headers["x-request-id"], "d-3")
            assert.strictEqual(raw.headers["retry-after"], status === 429 || status === 503 ? "1" : undefined)
            assert.strictEqual(raw.headers["x-ratelimit-remaining-requests"], status === 429 ? "0" : undefined)
          }
          for (const [model, part] of [
            ["sim;nonsense=1", "nonsense"],
            ["sim;n=150", "KV cache"]
          ] as const) {
            const raw = yield* send(url, model)
            assert.strictEqual(raw.status, 400)
            assert.include(error(json(raw)), part)
          }
          const noJson = yield* post(url, "{", path, headers)
          assert.strictEqual(noJson.status, 400)
          assert.isString(error(json(noJson)))
          assert.deepInclude(json(yield* get(url, "/_stats")), { requests: 8, bad: 3, refused: 5 })
        })
      )

      it.live("refuses the keys wrong and expired, wherever they are", () =>
        Effect.gen(function* () {
          const { url } = yield* serve()
          for (const key of ["wrong", "expired"]) {
            for (const more of [{ authorization: `Bearer ${key}` }, { "x-api-key": key }, { "api-key": key }]) {
              const raw = yield* send(url, "sim", true, more)
              assert.strictEqual(raw.status, 401)
              assert.isString(error(json(raw)))
            }
          }
          assert.strictEqual((yield* send(url, "sim", true, { authorization: "Bearer right" })).status, 200)
        })
      )

      it.live("redirects to an address that answers, and shows pages", () =>
        Effect.gen(function* () {
          const { url } = yield* serve()
          const raw = yield* send(url, "sim;redirect")
          assert.deepInclude(raw, { status: 307 })
          const location = `/redirected${path}`
          assert.strictEqual(raw.headers["location"], location)
          const followed = yield* post(url, JSON.stringify(body("sim;redirect", true)), location, headers)
          assert.strictEqual(count(textOf(followed)), 5)
          assert.strictEqual((yield* send(url, "sim;html")).status, 502)
          assert.include(bodyOf(yield* send(url, "sim;html-200")), "<html>")
        })
      )

      it.live("breaks off as it is told", () =>
        Effect.gen(function* () {
          const { url } = yield* serve()
          const tokens = (raw: Raw) => count(textOf(raw))
          const reset = yield* send(url, "sim;fault=reset:2")
          assert.deepInclude(reset, { complete: false, stopped: "ECONNRESET" })
          assert.strictEqual(tokens(reset), 2)
          const closed = yield* send(url, "sim;fault=close:2")
          assert.deepInclude(closed, { complete: false, stopped: "FIN" })
          assert.strictEqual(tokens(closed), 2)
          const cut = yield* send(url, "sim;fault=cut:2")
          assert.deepInclude(cut, { complete: true })
          assert.notInclude(bodyOf(cut), end)
          assert.strictEqual(tokens(cut), 2)
          const stalled = yield* send(url, "sim;fault=stall:2", true, {}, (soFar) => tokens(soFar) === 2)
          assert.strictEqual(stalled.stopped, "enough")
          const failed = yield* send(url, "sim;fault=error:2")
          assert.deepInclude(failed, { status: 200, complete: true })
          assert.strictEqual(tokens(failed), 2)
          assert.include(bodyOf(failed), inStream)
          assert.notInclude(bodyOf(failed), end)
        })
      )

      it.live("changes its form as it is told", () =>
        Effect.gen(function* () {
          const { url } = yield* serve()
          const plain = yield* send(url, "sim;utf8")
          assert.include(textOf(plain), "né漢😀")
          const split = yield* send(url, "sim;utf8;split")
          assert.isTrue(split.chunks.every((chunk) => chunk.length <= 7))
          assert.strictEqual(textOf(split), textOf(plain))
          const crlf = yield* send(url, "sim;utf8;crlf;no-space;multi-line")
          assert.include(bodyOf(crlf), "\r\n")
          assert.strictEqual(textOf(crlf), textOf(plain))
          const gzip = yield* send(url, "sim;utf8;gzip")
          assert.strictEqual(gzip.headers["content-encoding"], "gzip")
          const chunks = [gunzipSync(Buffer.concat([...gzip.chunks]))]
          assert.strictEqual(textOf({ ...gzip, chunks }), textOf(plain))
          assert.include(bodyOf(yield* send(url, "sim;fault=garbage:2")), "{not json")
          assert.isTrue(
            bodyOf(yield* send(url, "sim;after-done"))
              .trimEnd()
              .endsWith("{not json")
          )
          assert.strictEqual((yield* send(url, "sim;status-201")).status, 201)
        })
      )

      it.live("frees the place of a client that goes away", () =>
        Effect.gen(function* () {
          const { url } = yield* serve()
          const left = yield* Effect.forkChild(send(url, "sim;ttft=60000"))
          yield* eventually(url, "/_stats", (stats) => stats.live === 1 && stats.model.inFlight === 1)
          yield* Fiber.interrupt(left)
          const stats = yield* eventually(url, "/_stats", (body) => body.live === 0)
          assert.deepInclude(stats.model, { cancelled: 1, inFlight: 0 })
        })
      )
    })

    it.live("has pings, and opens with what comes before the content, where a format has such", () =>
      Effect.gen(function* () {
        const { url } = yield* serve()
        const { body, headers, path } = formats[0]
        const raw = yield* post(url, JSON.stringify(body("sim;ping", true)), path, headers)
        assert.strictEqual(dataOf(bodyOf(raw)).filter((data) => JSON.parse(data).type === "ping").length, 6)
        const early = JSON.stringify(body("sim;early-role;ttft=60000", true))
        const started = yield* post(url, early, path, headers, (soFar) => bodyOf(soFar).includes("message_start"))
        assert.strictEqual(started.stopped, "enough")
      })
    )

    it.live("knows Azure's deployments, whose name is the model", () =>
      Effect.gen(function* () {
        const { url } = yield* serve()
        const body = JSON.stringify({ messages, max_tokens: 5, stream: true })
        const path = "/openai/deployments/sim%3Bn%3D3/chat/completions"
        const raw = yield* post(url, body, `${path}?api-version=2024-10-21`, { "api-key": "k" })
        assert.strictEqual(count(contentOf(bodyOf(raw))), 3)
        const noVersion = yield* post(url, body, path, { "api-key": "k" })
        assert.strictEqual(noVersion.status, 404)
        assert.strictEqual(errorOf(noVersion).code, "404")
        const wrong = yield* post(url, body, `${path}?api-version=2024-10-21`, { "api-key": "wrong" })
        assert.strictEqual(wrong.status, 401)
        assert.strictEqual(errorOf(wrong).code, "invalid_api_key")
        assert.strictEqual((yield* post(url, streamed("sim"), "/openai/v1/chat/completions")).status, 200)
      })
    )

    it.live("refuses the keys wrong and expired for OpenAI's format too", () =>
      Effect.gen(function* () {
        const { url } = yield* serve()
        for (const key of ["wrong", "expired"]) {
          const raw = yield* post(url, streamed("sim"), chat, { authorization: `Bearer ${key}` })
          assert.strictEqual(raw.status, 401)
          assert.strictEqual(errorOf(raw).code, "invalid_api_key")
        }
        assert.strictEqual((yield* post(url, streamed("sim"), chat, { authorization: "Bearer k" })).status, 200)
      })
    )
  })

  describe("its address", () => {
    it.live("is refused when the port is taken", () =>
      Effect.gen(function* () {
        const { port } = yield* serve()
        const error = yield* Effect.flip(serve({}, { port }))
        assert.deepInclude(error.reason, { _tag: "PortInUse", port, host: "127.0.0.1" })
        assert.include(error.message, `${port}`)
      })
    )

    it.live("is refused when it is not loopback", () =>
      Effect.gen(function* () {
        for (const host of ["0.0.0.0", "::", "10.0.0.1", "example.com", "127.0.0.1.example.com", ""]) {
          const error = yield* Effect.flip(serve({}, { host }))
          assert.deepInclude(error.reason, { _tag: "HostNotLoopback", host })
        }
      })
    )

    it.live("may be another when it is told so", () =>
      Effect.gen(function* () {
        const { port } = yield* serve({}, { host: "0.0.0.0", beyondLoopback: true })
        assert.strictEqual((yield* get(`http://127.0.0.1:${port}`, "/health")).status, 200)
        const error = yield* Effect.flip(serve({}, { host: "", beyondLoopback: true }))
        assert.strictEqual(error.reason._tag, "HostNotLoopback")
      })
    )

    it.live("is free again, and connections are closed, when the scope closes", () =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const { port, url } = yield* Scope.provide(serve(), scope)
        const client = yield* Effect.forkChild(post(url, streamed("sim;ttft=60000")))
        yield* eventually(url, "/_stats", (stats) => stats.live === 1)
        yield* Scope.close(scope, Exit.void)
        assert.isFalse((yield* Fiber.join(client)).complete)
        const again = yield* serve({}, { port })
        assert.strictEqual((yield* get(again.url, "/health")).status, 200)
      })
    )
  })
})
