import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as HuggingFace from "../../src/provider/HuggingFace.ts"
import { find, plan, tagsOf, textOf } from "./asking.ts"
import { answer, raw } from "./servers.ts"
import {
  askAt,
  askSimulator,
  check,
  checkFaults,
  contentsOf,
  type Make,
  simulator,
  success,
  tokens
} from "./simulated.ts"
import * as decoding from "./wire/decoding.ts"

const on =
  (route: HuggingFace.Route, more: Partial<HuggingFace.Options> = {}): Make =>
  (apiBase, model) =>
    HuggingFace.make({ apiBase, model, apiKey: null, route, ...more })

const make = on("tgi")

describe("HuggingFace on the wire", () => {
  it.live("writes exactly this to TGI, and reads the answer that is documented", () =>
    Effect.gen(function* () {
      const server = yield* raw((socket) =>
        socket.write(answer("200 OK", decoding.transcript("tgi-text.sse"), { "content-type": "text/event-stream" }))
      )
      const apiKey = Redacted.make("secret")
      const asked = yield* askAt(`${server.url}/base/generate_stream`, "org/model", on("auto", { apiKey }))
      assert.isUndefined(asked.error)
      assert.strictEqual(textOf(asked), "Shall 👋")
      const body = JSON.stringify({
        model: "org/model",
        inputs: plan.prompt,
        parameters: { max_new_tokens: 20, details: true }
      })
      assert.deepStrictEqual(server.received, [
        {
          line: "POST /base/generate_stream HTTP/1.1",
          headers: [
            ["host", server.url.slice("http://".length)],
            ["connection", "keep-alive"],
            ["content-type", "application/json"],
            ["accept", "text/event-stream"],
            ["user-agent", "llmperf"],
            ["authorization", "Bearer secret"],
            ["content-length", String(Buffer.byteLength(body))]
          ],
          body,
          connection: 1
        }
      ])
    })
  )

  it.live(
    "reads a request that is refused within a good answer, as TGI does, and one that is refused in plain words",
    () =>
      Effect.gen(function* () {
        const refused = `data:{"error":"Input validation error: \`inputs\` cannot be empty","error_type":"validation"}\n\n`
        const server = yield* raw((socket, _request, ordinal) =>
          socket.write(
            ordinal === 1
              ? answer("200 OK", refused, { "content-type": "text/event-stream" })
              : answer("422 Unprocessable Entity", "missing field `inputs`", { "content-type": "text/plain" })
          )
        )
        check("an event", yield* askAt(server.url, "m", make), {
          reason: "InStream",
          code: "validation",
          message: /^Input validation error/
        })
        check("a status", yield* askAt(server.url, "m", make), {
          reason: "HttpStatus",
          code: 422,
          message: /^HTTP 422: missing field/
        })
      })
  )
})

describe("HuggingFace against the simulator", () => {
  it.live("a good answer of TGI, in full", () =>
    Effect.gen(function* () {
      const asked = yield* askSimulator(make)
      check("nothing", asked, success)
      assert.deepStrictEqual(tagsOf(asked), ["Sent", "ResponseStarted", "Content", "Finished", "Usage", "Ended"])
      assert.strictEqual(find(asked, "Finished")?.reason, "eos_token")
      assert.deepInclude(find(asked, "Usage"), { outputTokens: tokens, inputTokens: 4 })
      const limited = yield* askSimulator(make, ["n=20"])
      check("its limit", limited, { chunks: 20 })
      assert.strictEqual(find(limited, "Finished")?.reason, "length")
    }).pipe(Effect.provide(simulator))
  )

  it.live("a good answer of the OpenAI-compatible route, with reasoning", () =>
    Effect.gen(function* () {
      for (const route of ["openai", "auto"] as const) {
        const asked = yield* askSimulator(on(route), ["reason=3"])
        check(route, asked, success)
        assert.deepStrictEqual(contentsOf(asked), [
          ["reasoning", 3],
          ["text", tokens - 3]
        ])
        assert.deepInclude(find(asked, "Usage"), { outputTokens: tokens })
      }
    }).pipe(Effect.provide(simulator))
  )

  it.live("every fault becomes the right failure, or the right answer", () =>
    checkFaults(make, {
      "error:3": { reason: "InStream", code: "overloaded", message: /^The model is overloaded$/, chunks: 3 },
      // TGI knows no tools; the text is there all the same.
      tool: success
    }).pipe(Effect.provide(simulator))
  )

  it.live.each(["wrong", "expired"])("a bad key, on either route: %s", (key) =>
    Effect.gen(function* () {
      for (const route of ["tgi", "openai"] as const) {
        const asked = yield* askSimulator(on(route, { apiKey: Redacted.make(key) }))
        check(route, asked, { reason: "HttpStatus", code: 401, message: /^HTTP 401: .*key/ })
      }
    }).pipe(Effect.provide(simulator))
  )

  it.live("a temperature of 0 is no reason to refuse; one below is", () =>
    Effect.gen(function* () {
      check("0", yield* askSimulator(on("tgi", { samplingParams: { temperature: 0 } })), success)
      check("-1", yield* askSimulator(on("tgi", { samplingParams: { temperature: -1 } })), {
        reason: "HttpStatus",
        code: 422,
        message: /`temperature` must be strictly positive/
      })
    }).pipe(Effect.provide(simulator))
  )
})
