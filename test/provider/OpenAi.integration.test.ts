import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as RequestSink from "../../src/metrics/RequestSink.ts"
import { ask, client, plan, tagsOf, textOf } from "./asking.ts"
import { answer, goodAnswer, raw } from "./servers.ts"

const refusal = answer(
  "400 Bad Request",
  JSON.stringify({ error: { message: "Unrecognized request argument supplied: stream_options", code: null } })
)

describe("OpenAi on the wire", () => {
  it.live("writes exactly this", () =>
    Effect.gen(function* () {
      const server = yield* raw((socket) => socket.write(goodAnswer))
      const asked = yield* ask(`${server.url}/base/v1/?api-version=1`, {
        apiKey: Redacted.make("secret"),
        model: "model/name",
        headers: { "X-Team": "a", "User-Agent": "theirs" },
        requestId: { header: "x-request-id", of: ({ id }) => `run-${id}` },
        samplingParams: { temperature: 0, max_tokens: null, max_completion_tokens: 20 },
        ignoreEos: true,
        includeUsage: true
      })
      assert.isUndefined(asked.error)
      const body = {
        model: "model/name",
        messages: [{ role: "user", content: plan.prompt }],
        stream: true,
        stream_options: { include_usage: true },
        ignore_eos: true,
        temperature: 0,
        max_completion_tokens: 20
      }
      assert.deepStrictEqual(server.received, [
        {
          line: "POST /base/v1/chat/completions?api-version=1 HTTP/1.1",
          headers: [
            ["host", server.url.slice("http://".length)],
            ["connection", "keep-alive"],
            ["content-type", "application/json"],
            ["accept", "text/event-stream"],
            ["user-agent", "theirs"],
            ["authorization", "Bearer secret"],
            ["x-team", "a"],
            ["x-request-id", "run-7"],
            ["content-length", String(Buffer.byteLength(JSON.stringify(body)))]
          ],
          body: JSON.stringify(body),
          connection: 1
        }
      ])
    })
  )

  it.live("writes exactly this for a completion", () =>
    Effect.gen(function* () {
      const server = yield* raw((socket) => socket.write(goodAnswer))
      yield* ask(server.url, { endpoint: "completions" })
      assert.strictEqual(server.received[0]?.line, "POST /v1/completions HTTP/1.1")
      assert.strictEqual(
        server.received[0]?.body,
        JSON.stringify({ model: "m", prompt: plan.prompt, stream: true, max_tokens: 20 })
      )
    })
  )

  it.live("asks once more, on the same connection, when the server refuses to tell the usage", () =>
    Effect.gen(function* () {
      const server = yield* raw((socket, { body }) =>
        socket.write(body.includes("stream_options") ? refusal : goodAnswer)
      )
      const { ask, provider } = yield* client(server.url, { includeUsage: true })
      const asked = yield* ask
      assert.isUndefined(asked.error)
      assert.strictEqual(textOf(asked), "Hello world")
      assert.deepStrictEqual(tagsOf(asked).slice(0, 4), ["Sent", "ResponseStarted", "Sent", "ResponseStarted"])
      assert.deepStrictEqual(
        server.received.map(({ body, connection }) => [body.includes("stream_options"), connection]),
        [
          [true, 1],
          [false, 1]
        ]
      )
      // Of the two, the second is the one that is measured.
      const measurement = RequestSink.makeMeasurement(plan, 0)
      yield* Stream.run(Stream.fromIterable(asked.events), RequestSink.into(measurement))
      assert.strictEqual(measurement.status, 200)
      assert.strictEqual(measurement.sent, asked.events[2])

      yield* Stream.runDrain(provider.stream(plan))
      assert.strictEqual(server.received.length, 3)
      assert.notInclude(server.received[2]?.body, "stream_options")
    })
  )

  it.live("asks no more when the server goes on refusing the same", () =>
    Effect.gen(function* () {
      const message = "stream_options is not known, and max_tokens is not supported; use max_completion_tokens instead"
      const server = yield* raw((socket) =>
        socket.write(answer("400 Bad Request", JSON.stringify({ error: { message } })))
      )
      const { ask } = yield* client(server.url, { includeUsage: true })
      const { error } = yield* Effect.timeout(ask, "5 seconds")
      assert.strictEqual(error?.reason._tag, "HttpStatus")
      assert.strictEqual(server.received.length, 3)
    })
  )

  it.live("requests that are refused at the same time are each asked once more", () =>
    Effect.gen(function* () {
      const server = yield* raw((socket, { body }) =>
        socket.write(body.includes("stream_options") ? refusal : goodAnswer)
      )
      const { ask } = yield* client(server.url, { includeUsage: true })
      const all = yield* Effect.all(
        Array.from({ length: 8 }, () => ask),
        { concurrency: "unbounded" }
      )
      for (const asked of all) assert.isUndefined(asked.error)
      const refused = server.received.filter(({ body }) => body.includes("stream_options")).length
      assert.isAtMost(refused, 8)
      assert.strictEqual(server.received.length, 8 + refused)
    })
  )
})
