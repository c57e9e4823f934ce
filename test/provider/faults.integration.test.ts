import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Fault from "../../src/simulator/Fault.ts"
import * as HttpFront from "../../src/simulator/HttpFront.ts"
import * as ModelServer from "../../src/simulator/ModelServer.ts"
import * as Latency from "../../src/simulator/Latency.ts"
import { type Asked, ask, find, type AskOptions, tagsOf, textOf } from "./asking.ts"
import { check, type Expected, success, tokens } from "./simulated.ts"

const simulator = HttpFront.layer(HttpFront.HttpFrontOptions.make({})).pipe(
  Layer.provideMerge(
    ModelServer.layer(
      ModelServer.ModelServerOptions.make({ ttft: Latency.constant(0.002), itl: Latency.constant(0.001) })
    )
  )
)

/** Every fault of the simulator, each with the answer or the failure that it must become. */
const expected: { readonly [K in Fault.Kind]: readonly [fault: string, Expected] } = {
  "401": ["401", { reason: "HttpStatus", code: 401, message: /^HTTP 401: Incorrect API key provided\.$/ }],
  "404": ["404", { reason: "HttpStatus", code: 404, message: /^HTTP 404: The model `.*` does not exist\.$/ }],
  "429": ["429", { reason: "RateLimited", code: 429, message: /^HTTP 429: Rate limit reached for requests\.$/ }],
  "500": ["500", { reason: "HttpStatus", code: 500, message: /^HTTP 500: The server had an error\.$/ }],
  "503": ["503", { reason: "HttpStatus", code: 503, message: /^HTTP 503: The server is overloaded\.$/ }],
  html: ["html", { reason: "HttpStatus", code: 502, message: /^HTTP 502: <html>.*502 Bad Gateway/ }],
  "html-200": [
    "html-200",
    {
      reason: "Protocol",
      code: "protocol_error",
      message: /^The server did not stream \(text\/html.*\): <html>.*Sign in/
    }
  ],
  redirect: [
    "redirect",
    { reason: "HttpStatus", code: 307, message: /redirected to \/redirected\/v1\/chat\/completions/ }
  ],
  "status-201": ["status-201", { reason: "HttpStatus", code: 201, message: /^HTTP 201: data: / }],
  "no-usage": ["no-usage", success],
  "slow-headers": ["slow-headers:40", success],
  reset: ["reset:3", { reason: "Truncated", code: "truncated", message: /ECONNRESET|closed/, chunks: 3 }],
  close: ["close:3", { reason: "Truncated", code: "truncated", message: /closed/, chunks: 3 }],
  cut: ["cut:3", { reason: "Truncated", code: "truncated", message: /without a finish reason/, chunks: 3 }],
  stall: ["stall:3", { reason: "Timeout", code: "timeout_idle", message: /^Timed out \(idle\) after 2 s$/, chunks: 3 }],
  error: ["error:3", { reason: "InStream", code: 529, message: /^The model is overloaded$/, chunks: 3 }],
  "error-string": [
    "error-string:3",
    { reason: "InStream", code: "in_stream_error", message: /^The model is overloaded$/, chunks: 3 }
  ],
  "error-vllm": ["error-vllm:3", { reason: "InStream", code: 500, message: /^The model is overloaded$/, chunks: 3 }],
  "error-null-code": [
    "error-null-code",
    { reason: "InStream", code: "in_stream_error", message: /^The model is overloaded$/, chunks: 0 }
  ],
  garbage: ["garbage:3", { reason: "Protocol", code: "protocol_error", message: /not JSON: \{not json/, chunks: 3 }],
  nodone: ["nodone", success],
  "after-done": ["after-done", success],
  "early-role": ["early-role", success],
  "empty-choices": ["empty-choices", success],
  reasoning: ["reasoning:3", success],
  // The name of the tool comes in an event of its own, before its arguments.
  tool: ["tool", { chunks: tokens + 1 }],
  utf8: ["utf8", success],
  ping: ["ping", success],
  bom: ["bom", success],
  crlf: ["crlf", success],
  "no-space": ["no-space", success],
  "multi-line": ["multi-line", success],
  split: ["split", success],
  gzip: ["gzip", success]
}

const askSimulator = Effect.fnUntraced(function* (faults: ReadonlyArray<string>, options: AskOptions = {}) {
  const { url } = yield* HttpFront.HttpFront
  const model = ["sim", `n=${tokens}`, ...faults.map((fault) => `fault=${fault}`)].join(";")
  return yield* ask(url, { model, includeUsage: true, idleSeconds: 30, ...options })
})

describe("faults of the simulated server", () => {
  it.live("a good answer, chat and completion, in full", () =>
    Effect.gen(function* () {
      for (const endpoint of ["chat", "completions"] as const) {
        const asked = yield* askSimulator([], { endpoint })
        check("none", asked, success)
        assert.deepStrictEqual(tagsOf(asked), ["Sent", "ResponseStarted", "Content", "Finished", "Usage", "Ended"])
        assert.strictEqual(find(asked, "Finished")?.reason, "stop")
        assert.deepInclude(find(asked, "Usage"), { outputTokens: tokens, cachedInputTokens: 0, reasoningTokens: 0 })
      }
    }).pipe(Effect.provide(simulator))
  )

  it.live("each becomes the right failure, or the right answer", () =>
    Effect.gen(function* () {
      const all = yield* Effect.forEach(
        Object.values(expected),
        ([fault, expected]) =>
          Effect.map(askSimulator([fault], fault.startsWith("stall") ? { idleSeconds: 2 } : {}), (asked) => ({
            fault,
            expected,
            asked
          })),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(all.length, Object.keys(Fault.kinds).length)
      for (const { asked, expected, fault } of all) check(fault, asked, expected)
    }).pipe(Effect.provide(simulator))
  )

  it.live("all that only changes the form, at once, and the text is the same", () =>
    Effect.gen(function* () {
      const plain = yield* askSimulator([], { requestId: { header: "x-request-id", of: () => "r-1" } })
      const forms = ["early-role", "empty-choices", "ping", "bom", "crlf", "no-space", "multi-line", "nodone"]
      for (const write of ["split", "gzip"]) {
        const asked = yield* askSimulator([...forms, write], { requestId: { header: "x-request-id", of: () => "r-1" } })
        check(write, asked, success)
        assert.strictEqual(textOf(asked), textOf(plain))
      }
    }).pipe(Effect.provide(simulator))
  )

  it.live("reasoning, tool calls and characters of several bytes", () =>
    Effect.gen(function* () {
      const contents = (asked: Asked) =>
        asked.events.flatMap((event) => (event._tag === "Content" ? [[event.kind, event.text.length]] : []))
      assert.deepStrictEqual(contents(yield* askSimulator(["reasoning:3"], { flushMs: 2_000 })), [
        ["reasoning", 3],
        ["text", tokens - 3]
      ])
      const tool = yield* askSimulator(["tool"], { flushMs: 2_000 })
      assert.deepStrictEqual(contents(tool), [["tool", tokens + 1]])
      assert.strictEqual(find(tool, "Finished")?.reason, "tool_calls")
      assert.strictEqual(textOf(yield* askSimulator(["utf8", "split"])), Array(tokens).fill("né漢😀").join(" "))
    }).pipe(Effect.provide(simulator))
  )

  it.live("an interrupted request is gone for the server at once", () =>
    Effect.gen(function* () {
      const model = yield* ModelServer.ModelServer
      const until = (what: string, condition: (stats: ModelServer.Stats) => boolean) =>
        Effect.gen(function* () {
          for (let i = 0; i < 2_000 && !condition(yield* model.stats); i++) yield* Effect.sleep(5)
          assert.isTrue(condition(yield* model.stats), what)
        })
      const { url } = yield* HttpFront.HttpFront
      const fiber = yield* Effect.forkChild(ask(url, { model: "sim;n=1000;itl=100", idleSeconds: 60 }))
      yield* until("it is being answered", ({ tokens }) => tokens > 0)
      yield* Fiber.interrupt(fiber)
      yield* until("it is gone", ({ inFlight }) => inFlight === 0)
      assert.deepInclude(yield* model.stats, { cancelled: 1, completed: 0 })
    }).pipe(Effect.provide(simulator))
  )
})
