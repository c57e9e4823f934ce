import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { type HttpRequest } from "../../src/provider/Transport.ts"
import * as TokenizeEndpoint from "../../src/provider/TokenizeEndpoint.ts"
import * as Transport from "../../src/provider/Transport.ts"
import { answer, raw } from "./servers.ts"

describe("TokenizeEndpoint.pathFor", () => {
  it("lies beside what is asked for answers", () => {
    assert.deepStrictEqual(
      [
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/responses",
        "/chat/completions",
        "/team/a/v1/chat/completions",
        "/generate_stream",
        "/models/m/generate"
      ].map(TokenizeEndpoint.pathFor),
      ["/tokenize", "/tokenize", "/tokenize", "/tokenize", "/team/a/tokenize", "/tokenize", "/models/m/tokenize"]
    )
  })

  it("is not known of other APIs", () => {
    for (const path of [
      "/v1/messages",
      "/openai/deployments/m/chat/completions?api-version=1",
      "/endpoints/e/invocations-response-stream",
      "/v1beta/models/m:streamGenerateContent?alt=sse",
      "/"
    ]) {
      assert.isNull(TokenizeEndpoint.pathFor(path), path)
    }
  })
})

/** What each server gives for a text of three tokens. */
const formats = {
  vLLM: { count: 3, max_model_len: 4_096, tokens: [1, 2, 3], token_strs: null },
  SGLang: { tokens: [1, 2, 3], count: 3, max_model_len: 4_096 },
  "llama.cpp": { tokens: [1, 2, 3] },
  "llama.cpp with pieces": {
    tokens: [
      { id: 1, piece: "a" },
      { id: 2, piece: " b" },
      { id: 3, piece: " c" }
    ]
  },
  TGI: [
    { id: 1, text: "a", start: 0, stop: 1 },
    { id: 2, text: " b", start: 1, stop: 3 },
    { id: 3, text: " c", start: 3, stop: 5 }
  ],
  "TGI with the mark of the start": [
    { id: 0, text: "<s>", start: 0, stop: 0 },
    { id: 1, text: "a", start: 0, stop: 1 },
    { id: 2, text: " b", start: 1, stop: 3 },
    { id: 3, text: " c", start: 3, stop: 5 }
  ]
}

const like = (origin: string): HttpRequest => ({
  origin,
  path: "/v1/chat/completions",
  headers: ["content-type", "application/json", "accept", "text/event-stream", "authorization", "Bearer sk-1"],
  body: "{}"
})

const count = (origin: string, text = "a b c") =>
  TokenizeEndpoint.count(like(origin), "m", text).pipe(
    Effect.provide(Transport.layer({ idleSeconds: 5 })),
    Effect.scoped
  )

describe("TokenizeEndpoint.count", () => {
  it.live.each(Object.entries(formats))("understands %s", ([, body]) =>
    Effect.gen(function* () {
      const server = yield* raw((socket) => socket.write(answer("200 OK", JSON.stringify(body))))
      assert.strictEqual(yield* count(server.url), 3)
      const [request] = server.received
      assert.strictEqual(request?.line, "POST /tokenize HTTP/1.1")
      assert.deepInclude(JSON.parse(request?.body ?? ""), {
        model: "m",
        prompt: "a b c",
        content: "a b c",
        inputs: "a b c",
        add_special_tokens: false,
        add_special: false
      })
      const headers = new Map(request?.headers)
      assert.strictEqual(headers.get("authorization"), "Bearer sk-1")
      assert.strictEqual(headers.get("accept"), "application/json")
    }).pipe(Effect.scoped)
  )

  it.live("knows of nothing where the server has none, or gives something else", () =>
    Effect.gen(function* () {
      for (const given of [
        answer("404 Not Found", JSON.stringify({ detail: "Not Found" })),
        answer("405 Method Not Allowed", ""),
        answer("422 Unprocessable Entity", "{}"),
        answer("200 OK", "<html>"),
        answer("200 OK", JSON.stringify({ count: "3" }))
      ]) {
        const server = yield* raw((socket) => socket.write(given))
        assert.isNull(yield* count(server.url))
      }
    }).pipe(Effect.scoped)
  )

  it.live("fails where it may not ask", () =>
    Effect.gen(function* () {
      const server = yield* raw((socket) => socket.write(answer("401 Unauthorized", "no")))
      assert.strictEqual((yield* Effect.flip(count(server.url))).errorCode, 401)
    }).pipe(Effect.scoped)
  )
})
