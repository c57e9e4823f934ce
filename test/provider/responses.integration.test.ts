import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as HttpFront from "../../src/simulator/HttpFront.ts"
import * as Latency from "../../src/simulator/Latency.ts"
import * as ModelServer from "../../src/simulator/ModelServer.ts"
import { type Asked, ask, type AskOptions, find, plan, tagsOf, textOf } from "./asking.ts"

const tokens = 8

const simulator = HttpFront.layer(HttpFront.HttpFrontOptions.make({})).pipe(
  Layer.provideMerge(
    ModelServer.layer(
      ModelServer.ModelServerOptions.make({ ttft: Latency.constant(0.002), itl: Latency.constant(0.001) })
    )
  )
)

const askSimulator = Effect.fnUntraced(function* (settings: ReadonlyArray<string>, options: AskOptions = {}) {
  const { url } = yield* HttpFront.HttpFront
  const model = ["sim", `n=${tokens}`, ...settings].join(";")
  return yield* ask(url, { model, endpoint: "responses", idleSeconds: 30, ...options })
})

const chunksOf = (asked: Asked, kind: string): number =>
  asked.events.reduce(
    (sum, event) => sum + (event._tag === "Content" && event.kind === kind ? event.text.length : 0),
    0
  )

describe("OpenAI's responses over HTTP", () => {
  it.live("a good answer in full", () =>
    Effect.gen(function* () {
      const asked = yield* askSimulator([])
      assert.isUndefined(asked.error)
      assert.deepStrictEqual(tagsOf(asked), ["Sent", "ResponseStarted", "Content", "Finished", "Usage", "Ended"])
      assert.strictEqual(chunksOf(asked, "text"), tokens)
      assert.isNotEmpty(textOf(asked))
      assert.strictEqual(find(asked, "Finished")?.reason, "stop")
      const usage = find(asked, "Usage")
      assert.strictEqual(usage?.outputTokens, tokens)
      assert.isAbove(usage?.inputTokens ?? 0, 0)
      assert.strictEqual(usage?.cachedInputTokens, 0)
      assert.strictEqual(usage?.reasoningTokens, 0)
    }).pipe(Effect.provide(simulator))
  )

  it.live("the limit of tokens is the finish reason length", () =>
    Effect.gen(function* () {
      const { url } = yield* HttpFront.HttpFront
      const asked = yield* ask(url, { model: "sim", endpoint: "responses" })
      assert.isUndefined(asked.error)
      assert.strictEqual(find(asked, "Finished")?.reason, "length")
      assert.strictEqual(find(asked, "Usage")?.outputTokens, plan.outputTokens)
    }).pipe(Effect.provide(simulator))
  )

  it.live("reasoning and tools", () =>
    Effect.gen(function* () {
      const reasoning = yield* askSimulator(["reason=3"])
      assert.isUndefined(reasoning.error)
      assert.strictEqual(chunksOf(reasoning, "reasoning"), 3)
      assert.strictEqual(chunksOf(reasoning, "text"), tokens - 3)
      assert.strictEqual(find(reasoning, "Usage")?.reasoningTokens, 3)
      const tool = yield* askSimulator(["fault=tool"])
      assert.isUndefined(tool.error)
      // The name of the tool comes before its arguments.
      assert.strictEqual(chunksOf(tool, "tool"), tokens + 1)
      assert.strictEqual(find(tool, "Finished")?.reason, "tool_calls")
    }).pipe(Effect.provide(simulator))
  )

  it.live.each([
    ["401", "HttpStatus", 401, 0],
    ["404", "HttpStatus", 404, 0],
    ["429", "RateLimited", 429, 0],
    ["500", "HttpStatus", 500, 0],
    ["503", "HttpStatus", 503, 0],
    ["html-200", "Protocol", "protocol_error", 0],
    ["reset:3", "Truncated", "truncated", 3],
    ["close:3", "Truncated", "truncated", 3],
    ["cut:3", "Truncated", "truncated", 3],
    ["error:3", "InStream", "server_overloaded", 3],
    ["garbage:3", "Protocol", "protocol_error", 3]
  ] as const)("under %s", ([fault, tag, code, chunks]) =>
    Effect.gen(function* () {
      const asked = yield* askSimulator([`fault=${fault}`])
      assert.strictEqual(asked.error?.reason._tag, tag, asked.error?.message)
      assert.strictEqual(asked.error?.errorCode, code)
      assert.strictEqual(chunksOf(asked, "text"), chunks)
      assert.notInclude(tagsOf(asked), "Ended")
    }).pipe(Effect.provide(simulator))
  )

  it.live("a server that falls silent", () =>
    Effect.gen(function* () {
      const asked = yield* askSimulator(["fault=stall:3"], { idleSeconds: 2 })
      assert.strictEqual(asked.error?.errorCode, "timeout_idle")
      assert.strictEqual(chunksOf(asked, "text"), 3)
    }).pipe(Effect.provide(simulator))
  )

  it.live.each(["crlf", "split", "ping", "bom", "gzip", "utf8"])("the form of the stream: %s", (form) =>
    Effect.gen(function* () {
      const asked = yield* askSimulator([`fault=${form}`])
      assert.isUndefined(asked.error)
      assert.strictEqual(chunksOf(asked, "text"), tokens)
    }).pipe(Effect.provide(simulator))
  )

  it.live("a wrong key", () =>
    Effect.gen(function* () {
      const asked = yield* askSimulator([], { apiKey: Redacted.make("wrong") })
      assert.strictEqual(asked.error?.errorCode, 401)
    }).pipe(Effect.provide(simulator))
  )
})
