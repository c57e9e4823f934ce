import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Ollama from "../../src/provider/Ollama.ts"
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

const make: Make = (apiBase, model) => Ollama.make({ apiBase, model })

describe("Ollama on the wire", () => {
  it.live("writes exactly this, and reads the answer that is documented", () =>
    Effect.gen(function* () {
      const server = yield* raw((socket) =>
        socket.write(
          answer("200 OK", decoding.transcript("ollama-text.ndjson"), { "content-type": "application/x-ndjson" })
        )
      )
      const asked = yield* askAt(server.url, "gpt-oss:20b", make)
      assert.isUndefined(asked.error)
      assert.strictEqual(textOf(asked), "Which day?Shall I “👋”\n")
      const body = JSON.stringify({
        model: "gpt-oss:20b",
        messages: [{ role: "user", content: plan.prompt }],
        stream: true,
        options: { num_predict: 20 }
      })
      assert.deepStrictEqual(server.received, [
        {
          line: "POST /api/chat HTTP/1.1",
          headers: [
            ["host", server.url.slice("http://".length)],
            ["connection", "keep-alive"],
            ["content-type", "application/json"],
            ["accept", "application/x-ndjson"],
            ["user-agent", "llmperf"],
            ["content-length", String(Buffer.byteLength(body))]
          ],
          body,
          connection: 1
        }
      ])
    })
  )

  it.live("an answer in one piece is none that streams", () =>
    Effect.gen(function* () {
      const whole = decoding.transcript("ollama-text.ndjson").toString().split("\n").at(-2) ?? ""
      const server = yield* raw((socket) =>
        socket.write(answer("200 OK", whole, { "content-type": "application/json; charset=utf-8" }))
      )
      check("one object", yield* askAt(server.url, "m", make), {
        reason: "Protocol",
        code: "protocol_error",
        message: /^The server did not stream \(application\/json/
      })
    })
  )
})

describe("Ollama against the simulator", () => {
  it.live("a good answer, in full", () =>
    Effect.gen(function* () {
      const asked = yield* askSimulator(make)
      check("nothing", asked, success)
      assert.deepStrictEqual(tagsOf(asked), ["Sent", "ResponseStarted", "Content", "Finished", "Usage", "Ended"])
      assert.strictEqual(find(asked, "Finished")?.reason, "stop")
      assert.deepInclude(find(asked, "Usage"), { outputTokens: tokens })
      assert.isAbove(find(asked, "Usage")?.inputTokens ?? 0, 0)
    }).pipe(Effect.provide(simulator))
  )

  it.live("thinking and tools", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(contentsOf(yield* askSimulator(make, ["reason=3"])), [
        ["reasoning", 3],
        ["text", tokens - 3]
      ])
      const tool = yield* askSimulator(make, ["tool"])
      assert.deepStrictEqual(contentsOf(tool), [["tool", 2]])
      assert.match(textOf(tool), /^write\{".*\}$/)
    }).pipe(Effect.provide(simulator))
  )

  it.live("every fault becomes the right failure, or the right answer", () =>
    checkFaults(make, {
      "error:3": { reason: "InStream", code: "in_stream_error", message: /^The model is overloaded$/, chunks: 3 },
      // A call comes whole: its name and its arguments.
      tool: { chunks: 2 }
    }).pipe(Effect.provide(simulator))
  )
})
