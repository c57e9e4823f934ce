import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { createHash } from "node:crypto"
import type * as LlmError from "../../src/domain/LlmError.ts"
import { type RequestPlan } from "../../src/domain/RequestPlan.ts"
import { type TokenEvent } from "../../src/domain/TokenEvent.ts"
import * as RequestRunner from "../../src/engine/RequestRunner.ts"
import * as SimulatedProvider from "../../src/engine/SimulatedProvider.ts"
import * as RequestSink from "../../src/metrics/RequestSink.ts"
import { SummarySink } from "../../src/metrics/SummarySink.ts"
import { Provider, Unread } from "../../src/provider/Provider.ts"
import * as Fault from "../../src/simulator/Fault.ts"
import { refusal } from "../../src/simulator/internal/refusal.ts"
import * as Latency from "../../src/simulator/Latency.ts"
import * as ModelServer from "../../src/simulator/ModelServer.ts"
import * as VirtualClock from "../../src/simulator/VirtualClock.ts"
import * as Scripted from "./scriptedProvider.ts"

const tokens = 8

const plan = (id: number, more: Partial<RequestPlan> = {}): RequestPlan => ({
  ...Scripted.plan(id),
  outputTokens: tokens,
  ...more
})

const fixed = { ttft: Latency.constant(0.1), itl: Latency.constant(0.02) }

type ServerOptions = Parameters<typeof ModelServer.ModelServerOptions.make>[0]

/** Runs on a simulated server of its own, in virtual time. */
const simulated =
  (server: ServerOptions = fixed, options: SimulatedProvider.Options = {}) =>
  <A, E>(effect: Effect.Effect<A, E, Provider | ModelServer.ModelServer>) =>
    Effect.provide(
      effect,
      SimulatedProvider.layerWith(options).pipe(
        Layer.provideMerge(ModelServer.layer(ModelServer.ModelServerOptions.make(server))),
        Layer.provideMerge(VirtualClock.layer)
      )
    )

const millis = Effect.map(Clock.monotonicTimeNanos, (at) => Number(at) / 1e6)

interface Asked {
  readonly events: ReadonlyArray<TokenEvent>
  readonly error: LlmError.LlmError | undefined
  /** When it was over, in milliseconds. */
  readonly at: number
}

const ask = Effect.fnUntraced(function* (plan: RequestPlan): Effect.fn.Return<Asked, never, Provider> {
  const provider = yield* Provider
  const events: Array<TokenEvent> = []
  const error = yield* provider.stream(plan).pipe(
    Stream.runForEach((event) =>
      Effect.sync(() => {
        events.push(event)
      })
    ),
    Effect.as(undefined),
    Effect.catchTag("LlmError", (error) => Effect.succeed(error))
  )
  return { events, error, at: yield* millis }
})

/** The pieces of the answer: kind, milliseconds, text. */
const pieces = (events: ReadonlyArray<TokenEvent>) =>
  events.flatMap((event) =>
    event._tag === "Content" ? event.at.map((at, i) => [event.kind, at / 1e6, event.text[i] ?? ""] as const) : []
  )

const textOf = (events: ReadonlyArray<TokenEvent>): string =>
  pieces(events)
    .map(([, , text]) => text)
    .join("")

const tagsOf = (events: ReadonlyArray<TokenEvent>) => events.map(({ _tag }) => _tag)

const fault = Schema.decodeSync(Fault.FaultFromString)

const underFaults = (...faults: ReadonlyArray<string>) =>
  simulated({ ...fixed, faults: faults.map((text) => fault(text)) })

describe("SimulatedProvider", () => {
  it.effect("gives the events of an answer with the moments at which they came", () =>
    Effect.gen(function* () {
      yield* Effect.sleep(50)
      const { at, error, events } = yield* ask(plan(1, { inputTokens: 77, outputTokens: 3 }))
      assert.isUndefined(error)
      const words = pieces(events).map(([, , text]) => text)
      assert.deepStrictEqual(events, [
        { _tag: "Sent", at: 50e6, connection: null },
        { _tag: "ResponseStarted", at: 50e6, status: 200, rateLimit: null },
        { _tag: "Content", kind: "text", at: [150e6, 170e6, 190e6], text: words },
        { _tag: "Finished", at: 190e6, reason: "length" },
        { _tag: "Usage", at: 190e6, inputTokens: 77, outputTokens: 3, cachedInputTokens: 0, reasoningTokens: 0 },
        { _tag: "Ended", at: 190e6 }
      ])
      assert.match(words.join(""), /^[a-z]+ [a-z]+ [a-z]+$/)
      assert.strictEqual(at, 190)
    }).pipe(simulated())
  )

  it.effect("draws by the number of the request, as the server does for the end of x-request-id", () =>
    Effect.gen(function* () {
      const model = yield* ModelServer.ModelServer
      for (const id of [7, 8, -7]) {
        const chunks = yield* Effect.scoped(
          Effect.flatMap(
            model.generate({ id: String(Math.abs(id)), inputTokens: 1, outputTokens: tokens }),
            Stream.runCollect
          )
        )
        const { events } = yield* ask(plan(id))
        assert.strictEqual(textOf(events), chunks.map(({ text }) => text).join(""))
      }
      assert.notStrictEqual(textOf((yield* ask(plan(7))).events), textOf((yield* ask(plan(8))).events))
    }).pipe(simulated())
  )

  it.effect("waits in the queue of the server", () =>
    Effect.gen(function* () {
      const asked = yield* Effect.all([ask(plan(1)), ask(plan(2))], { concurrency: "unbounded" })
      assert.deepStrictEqual(
        asked.map(({ at }) => at),
        [240, 480]
      )
      assert.deepStrictEqual(
        asked.map(({ events }) => pieces(events)[0]?.[1]),
        [100, 340]
      )
    }).pipe(simulated({ ...fixed, maxBatch: 1 }))
  )

  it.effect("hands several chunks over that came at one moment", () =>
    Effect.gen(function* () {
      const { events } = yield* ask(plan(1, { outputTokens: 3 }))
      assert.deepStrictEqual(
        pieces(events).map(([, at]) => at),
        [100, 100, 100]
      )
      assert.strictEqual(events.filter(({ _tag }) => _tag === "Content").length, 1)
    }).pipe(simulated({ ttft: Latency.constant(0.1), itl: Latency.constant(0) }))
  )

  it.effect("an interrupted request frees its place and leaves what had come", () =>
    Effect.gen(function* () {
      const provider = yield* Provider
      const model = yield* ModelServer.ModelServer
      const unread: Array<TokenEvent> = []
      const reading = provider.stream(plan(1, { outputTokens: 1_000 })).pipe(
        Stream.runDrain,
        Effect.provideService(Unread, (events) => {
          unread.push(...events)
        })
      )
      const waiting = yield* Effect.forkChild(ask(plan(2)))
      const fiber = yield* Effect.forkChild(reading)
      yield* Effect.sleep(345)
      yield* Fiber.interrupt(fiber)
      yield* Fiber.join(waiting)
      assert.deepStrictEqual(tagsOf(unread), ["Sent", "ResponseStarted", "Content"])
      assert.deepStrictEqual(
        pieces(unread).map(([, at]) => at),
        [100, 120, 140, 160, 180, 200, 220, 240, 260, 280, 300, 320, 340]
      )
      assert.deepInclude(yield* model.stats, { inFlight: 0, batch: 0, kvTokens: 0, cancelled: 1, completed: 1 })
    }).pipe(simulated())
  )

  it.effect("the limit of the runner ends a request, which keeps what had come", () =>
    Effect.gen(function* () {
      const ended: Array<RequestSink.Measurement> = []
      const runner = yield* RequestRunner.make({
        requestTimeoutSeconds: 0.125,
        cancelled: () => "",
        onStart: () => {},
        onFinish: (measurement) => ended.push(measurement)
      })
      yield* runner(plan(1), 0)
      const [measurement] = ended
      assert.strictEqual(measurement?.error?.errorCode, "timeout_total")
      assert.deepStrictEqual(measurement?.chunkAt, [100e6, 120e6])
      assert.strictEqual(measurement?.endedAt, 125e6)
    }).pipe(simulated())
  )

  it.effect("a request too large for the server is refused with 400", () =>
    Effect.gen(function* () {
      const { at, error, events } = yield* ask(plan(1, { inputTokens: 95, outputTokens: 6 }))
      assert.strictEqual(error?.reason._tag, "HttpStatus")
      assert.strictEqual(error?.errorCode, 400)
      assert.match(error?.message ?? "", /^HTTP 400: The request needs 101 tokens of KV cache .* the server has 100$/)
      assert.deepStrictEqual(tagsOf(events), ["Sent", "ResponseStarted"])
      assert.deepInclude(events.at(-1), { status: 400 })
      assert.strictEqual(at, 0)
    }).pipe(simulated({ ...fixed, kvTokens: 100 }))
  )

  describe("faults", () => {
    /** What a request comes to: how many pieces have come, when it is over, and how it fails. */
    interface Expected {
      readonly pieces: number
      readonly at: number
      readonly failure?: readonly [reason: string, code: number | string, message: RegExp]
      readonly status?: number
    }
    const success: Expected = { pieces: tokens, at: 240 }
    const refused = (...failure: readonly [reason: string, code: number | string, message: RegExp]): Expected => ({
      pieces: 0,
      at: 0,
      failure,
      ...(typeof failure[1] === "number" ? { status: failure[1] } : {})
    })
    const broken = (...failure: readonly [reason: string, code: number | string, message: RegExp]): Expected => ({
      pieces: 3,
      at: 160,
      failure
    })
    const overloaded = /^The model is overloaded$/

    const expected: { readonly [K in Fault.Kind]: readonly [fault: string, Expected] } = {
      "401": ["401", refused("HttpStatus", 401, /^HTTP 401: Incorrect API key provided\.$/)],
      "404": ["404", refused("HttpStatus", 404, /^HTTP 404: The model `.*` does not exist\.$/)],
      "429": ["429", refused("RateLimited", 429, /^HTTP 429: Rate limit reached for requests\.$/)],
      "500": ["500", refused("HttpStatus", 500, /^HTTP 500: The server had an error\.$/)],
      "503": ["503", refused("HttpStatus", 503, /^HTTP 503: The server is overloaded\.$/)],
      html: ["html", refused("HttpStatus", 502, /^HTTP 502: <html>.*502 Bad Gateway/)],
      "html-200": [
        "html-200",
        refused("Protocol", "protocol_error", /^The server did not stream \(text\/html.*\): <html>.*Sign in/)
      ],
      redirect: ["redirect", refused("HttpStatus", 307, /redirected to \/redirected\/v1\/chat\/completions/)],
      "status-201": [
        "status-201",
        { pieces: 0, at: 240, failure: ["HttpStatus", 201, /^HTTP 201: data: \w+/], status: 201 }
      ],
      "no-usage": ["no-usage", success],
      "slow-headers": ["slow-headers:40", { pieces: tokens, at: 280 }],
      reset: ["reset:3", broken("Truncated", "truncated", /ECONNRESET/)],
      close: ["close:3", broken("Truncated", "truncated", /closed/)],
      cut: ["cut:3", broken("Truncated", "truncated", /without a finish reason/)],
      stall: [
        "stall:3",
        { pieces: 3, at: 2_160, failure: ["Timeout", "timeout_idle", /^Timed out \(idle\) after 2 s$/] }
      ],
      error: ["error:3", broken("InStream", 529, overloaded)],
      "error-string": ["error-string:3", broken("InStream", "in_stream_error", overloaded)],
      "error-vllm": ["error-vllm:3", broken("InStream", 500, overloaded)],
      "error-null-code": [
        "error-null-code",
        { pieces: 0, at: 100, failure: ["InStream", "in_stream_error", overloaded] }
      ],
      garbage: ["garbage:3", broken("Protocol", "protocol_error", /not JSON: \{not json/)],
      nodone: ["nodone", success],
      "after-done": ["after-done", success],
      "early-role": ["early-role", success],
      "empty-choices": ["empty-choices", success],
      reasoning: ["reasoning:3", success],
      tool: ["tool", { pieces: tokens + 1, at: 240 }],
      utf8: ["utf8", success],
      ping: ["ping", success],
      bom: ["bom", success],
      crlf: ["crlf", success],
      "no-space": ["no-space", success],
      "multi-line": ["multi-line", success],
      split: ["split", success],
      gzip: ["gzip", success]
    }

    it.effect.each(Object.values(expected))("%s", ([text, { at, failure, pieces: count, status = 200 }]) =>
      Effect.gen(function* () {
        const asked = yield* ask(plan(1))
        assert.strictEqual(pieces(asked.events).length, count)
        assert.strictEqual(asked.at, at)
        assert.deepInclude(asked.events[1], { _tag: "ResponseStarted", status })
        if (failure === undefined) {
          assert.isUndefined(asked.error)
          assert.deepInclude(asked.events.at(-1), { _tag: "Ended", at: at * 1e6 })
        } else {
          const [reason, code, message] = failure
          assert.strictEqual(asked.error?.reason._tag, reason)
          assert.strictEqual(asked.error?.errorCode, code)
          assert.match(asked.error?.message ?? "", message)
          assert.notInclude(tagsOf(asked.events), "Ended")
        }
        const { inFlight, queued } = yield* (yield* ModelServer.ModelServer).stats
        assert.deepStrictEqual({ inFlight, queued }, { inFlight: 0, queued: 0 })
      }).pipe(simulated({ ...fixed, faults: [fault(text)] }, { idleSeconds: 2 }))
    )

    it.effect.each(["401", "429", "500", "503", "html"])("%s says the same as over HTTP", (text) =>
      Effect.gen(function* () {
        const answer = refusal([fault(text)], { model: "simulated", path: "/", redirected: false, asksUsage: true })
        if (answer === undefined) return assert.fail("this fault refuses")
        const { error, events } = yield* ask(plan(1))
        const { "content-type": _, ...rateLimit } = answer.headers
        const retryAfter = rateLimit["retry-after"]
        assert.deepInclude(events[1], {
          status: answer.status,
          rateLimit: Object.keys(rateLimit).length === 0 ? null : rateLimit
        })
        assert.deepInclude(error?.reason, {
          status: answer.status,
          retryAfterSeconds: retryAfter === undefined ? null : Number(retryAfter)
        })
        const body: unknown = text === "html" ? undefined : JSON.parse(answer.body)
        const message = Schema.decodeUnknownOption(Schema.Struct({ error: Schema.Struct({ message: Schema.String }) }))(
          body
        )
        assert.deepInclude(error?.reason, {
          body: message._tag === "Some" ? message.value.error.message : answer.body.trim()
        })
      }).pipe(underFaults(text))
    )

    it.effect("hit the requests they are ordered for, in the order of arrival", () =>
      Effect.gen(function* () {
        const codes: Array<number | string | undefined> = []
        for (let id = 1; id <= 6; id++) codes.push((yield* ask(plan(id))).error?.errorCode)
        assert.deepStrictEqual(codes, [undefined, undefined, 429, undefined, undefined, 429])
      }).pipe(underFaults("429:3"))
    )

    it.effect("the earlier of two endings is the one", () =>
      Effect.gen(function* () {
        const { error, events } = yield* ask(plan(1))
        assert.strictEqual(error?.errorCode, "protocol_error")
        assert.strictEqual(pieces(events).length, 2)
      }).pipe(underFaults("reset:5", "garbage:2"))
    )

    it.effect("an ending after the end is none", () =>
      Effect.gen(function* () {
        const { error, events } = yield* ask(plan(1))
        assert.isUndefined(error)
        assert.deepStrictEqual(tagsOf(events), ["Sent", "ResponseStarted", "Content", "Finished", "Usage", "Ended"])
      }).pipe(underFaults("close:8"))
    )

    it.effect("without a limit, a stalled answer waits until it is interrupted", () =>
      Effect.gen(function* () {
        const provider = yield* Provider
        const unread: Array<TokenEvent> = []
        const reading = Effect.provideService(Stream.runDrain(provider.stream(plan(1))), Unread, (events) => {
          unread.push(...events)
        })
        const fiber = yield* Effect.forkChild(reading)
        yield* Effect.sleep("1 day")
        assert.isUndefined(fiber.pollUnsafe())
        yield* Fiber.interrupt(fiber)
        assert.deepStrictEqual(
          pieces(unread).map(([, at]) => at),
          [100, 120]
        )
      }).pipe(underFaults("stall:2"))
    )

    it.effect("slow headers hold up the work, and end the request when the client does not wait for them", () =>
      Effect.gen(function* () {
        const { at, error, events } = yield* ask(plan(1))
        assert.strictEqual(error?.errorCode, "timeout_headers")
        assert.deepStrictEqual(tagsOf(events), ["Sent"])
        assert.strictEqual(at, 1_000)
      }).pipe(simulated({ ...fixed, faults: [fault("slow-headers:5000")] }, { idleSeconds: 1 }))
    )

    it.effect("no-usage takes the usage away", () =>
      Effect.gen(function* () {
        const { events } = yield* ask(plan(1))
        assert.deepStrictEqual(tagsOf(events), ["Sent", "ResponseStarted", "Content", "Finished", "Ended"])
      }).pipe(underFaults("no-usage"))
    )

    it.effect("reasoning comes first and is counted", () =>
      Effect.gen(function* () {
        const { events } = yield* ask(plan(1))
        assert.deepStrictEqual(
          pieces(events).map(([kind]) => kind),
          ["reasoning", "reasoning", "reasoning", "text", "text", "text", "text", "text"]
        )
        assert.deepInclude(events.at(-2), { _tag: "Usage", reasoningTokens: 3, outputTokens: tokens })
      }).pipe(underFaults("reasoning:3"))
    )

    it.effect.each([
      { faults: ["tool"], at: 100 },
      { faults: ["tool", "early-role"], at: 0 }
    ])("the name of a tool comes at $at ms under $faults", ({ at, faults }) =>
      Effect.gen(function* () {
        const { events } = yield* ask(plan(1))
        assert.deepStrictEqual(pieces(events)[0], ["tool", at, "write"])
        assert.deepInclude(events.at(-3), { _tag: "Finished", reason: "tool_calls" })
      }).pipe(underFaults(...faults))
    )
  })

  describe("an hour of traffic", () => {
    const count = 3_000

    const hour = Effect.gen(function* () {
      const sink = new SummarySink()
      const hash = createHash("sha256")
      const start = { monotonicNanos: 0, epochSeconds: VirtualClock.epochMillis / 1_000 }
      const runner = yield* RequestRunner.make({
        requestTimeoutSeconds: 60,
        cancelled: () => "",
        onStart: () => {},
        onFinish: (measurement) => {
          const tokens = { output: null, first: null }
          const outcome = RequestSink.toOutcome(measurement, { source: "server", tokens, start, xRequestId: null })
          sink.add(outcome)
          hash.update(JSON.stringify(outcome.record)).update(measurement.text.join(""))
        }
      })
      yield* Effect.forEach(
        Array.from({ length: count }, (_, i) => i),
        (i) => {
          const due = i * 1_200 + ((i * 7_919) % 997)
          return Effect.andThen(
            Effect.sleep(due),
            runner(plan(i + 1, { inputTokens: 50 + (i % 500), outputTokens: 1 + (i % 90) }), due * 1e6)
          )
        },
        { concurrency: "unbounded", discard: true }
      )
      const stats = yield* (yield* ModelServer.ModelServer).stats
      return { summary: sink.summary({ wallSeconds: (yield* millis) / 1_000 }), digest: hash.digest("hex"), stats }
    })

    const expectedTokens = Array.from({ length: count }, (_, i) => 1 + (i % 90)).reduce((sum, n) => sum + n, 0)

    it.effect.each([
      ["with latencies of its own", { itl: { shape: "exponential", mean: 0.02, cv: 0 } }],
      ["by the steps of its batch", { decodeStepSeconds: 0.03, maxBatch: 4 }]
    ] as const)("%s, twice the same", ([, options]) =>
      Effect.gen(function* () {
        const once = yield* simulated(options)(hour)
        assert.strictEqual(once.summary.num_completed_requests, count)
        assert.strictEqual(once.summary.number_errors, 0)
        assert.strictEqual(once.summary.total_output_tokens, expectedTokens)
        assert.deepInclude(once.stats, { completed: count, tokens: expectedTokens, inFlight: 0 })
        assert.strictEqual(once.summary.dispatch_lag_s.max, 0)
        assert.closeTo(once.summary.wall_time_s ?? 0, 3_600, 10)
        const again = yield* simulated(options)(hour)
        assert.strictEqual(again.digest, once.digest)
        assert.deepStrictEqual(again.summary, once.summary)
      })
    )
  })
})
