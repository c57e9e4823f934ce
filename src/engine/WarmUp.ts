/**
 * What happens before the clock starts, so that the first requests are measured like the others.
 *
 * A cold client distorts its own first figures: code that has not been compiled yet, connections that are not open. Both
 * can be had without asking the model for anything. The client's own code is exercised against a small server on
 * loopback in this process, and connections to the real server are opened and kept. Real requests are sent only when asked
 * for.
 *
 * @since 0.1.0
 */
import { createServer } from "node:http"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type LlmError } from "../domain/LlmError.ts"
import { type RequestPlan } from "../domain/RequestPlan.ts"
import * as OpenAi from "../provider/OpenAi.ts"
import { Provider } from "../provider/Provider.ts"
import { Transport } from "../provider/Transport.ts"
import * as ClosedLoop from "./ClosedLoop.ts"
import * as RequestRunner from "./RequestRunner.ts"
import * as StopSignal from "./StopSignal.ts"

/**
 * What was done: exchanges with our own server, connections opened to the real one, real requests sent and how many of
 * these failed, and how long all of it took.
 *
 * @category models
 * @since 0.1.0
 */
export interface WarmUpReport {
  readonly rehearsed_requests: number
  readonly opened_connections: number
  readonly requests: number
  readonly failed_requests: number
  readonly duration_s: number
}

/** Exchanges of the rehearsal: enough for the hot path to be compiled, few enough to take a fraction of a second. */
const rehearsals = 32
const rehearsalChunks = 24

const chunk = (delta: string, finish: string): string =>
  `data: {"id":"r","object":"chat.completion.chunk","created":0,"model":"r","choices":[{"index":0,"delta":${delta},"finish_reason":${finish}}]}\n\n`

const answer = [
  chunk(`{"role":"assistant","content":""}`, "null"),
  ...Array.from({ length: rehearsalChunks }, () => chunk(`{"content":" word"}`, "null")),
  `${chunk("{}", `"length"`)}data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":${rehearsalChunks}}}\n\ndata: [DONE]\n\n`
]

/** A server that says the same to everyone, chunk by chunk. */
const rehearsalServer: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.callback<{ readonly url: string; readonly close: () => void }>((resume) => {
    const server = createServer((request, response) => {
      request.resume()
      response.writeHead(200, { "content-type": "text/event-stream" })
      let next = 0
      const write = (): void => {
        const piece = answer[next++]
        if (piece === undefined) response.end()
        else {
          response.write(piece)
          setImmediate(write)
        }
      }
      write()
    })
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      const port = typeof address === "object" && address !== null ? address.port : 0
      resume(
        Effect.succeed({
          url: `http://127.0.0.1:${port}`,
          close: () => {
            server.closeAllConnections()
            server.close()
          }
        })
      )
    })
  }),
  ({ close }) => Effect.sync(close)
).pipe(Effect.map(({ url }) => url))

const sendAll = Effect.fnUntraced(function* (
  plans: ReadonlyArray<RequestPlan>,
  concurrency: number,
  limit: number | null
) {
  let failed = 0
  const runner = yield* RequestRunner.make({
    requestTimeoutSeconds: limit,
    cancelled: () => "Cancelled during warm-up",
    onStart: () => {},
    onFinish: (measurement) => {
      if (measurement.error !== null) failed++
    }
  })
  yield* ClosedLoop.run({ plans, concurrency, stop: yield* StopSignal.make, runner })
  return failed
})

const rehearse = Effect.fnUntraced(function* (concurrency: number): Effect.fn.Return<void, LlmError, Transport> {
  const plan = {
    dueSeconds: null,
    sampled: true,
    prompt: "word ".repeat(400),
    inputTokens: 1,
    targetInputTokens: 1,
    outputTokens: 1
  }
  const plans = Array.from({ length: rehearsals }, (_, index) => ({ ...plan, id: index + 1 }))
  yield* Effect.gen(function* () {
    const provider = yield* OpenAi.make({ apiBase: yield* rehearsalServer, apiKey: null, model: "rehearsal" })
    yield* Effect.provideService(sendAll(plans, Math.min(concurrency, 32), 5), Provider, provider)
  }).pipe(Effect.scoped)
})

/**
 * Warms up. It never fails: a server that cannot be reached shows in the rows of the run.
 *
 * - `client`: whether to exercise the client and to open connections, which asks the server for nothing
 * - `concurrency`: the connections to open, one for each request that will be in flight
 * - `requests`: real requests to send and drop; their `id`s should be negative, which marks them in `x-request-id`
 *
 * @category running
 * @since 0.1.0
 */
export const run = Effect.fn("WarmUp.run")(function* (options: {
  readonly client: boolean
  readonly concurrency: number
  readonly requests: ReadonlyArray<RequestPlan>
  readonly requestTimeoutSeconds: number | null
}): Effect.fn.Return<WarmUpReport, never, Provider | Transport> {
  const { client, concurrency, requests } = options
  const provider = yield* Provider
  const transport = yield* Transport
  const started = yield* Clock.monotonicTimeNanos
  if (client) yield* Effect.ignore(rehearse(concurrency))
  const failed = yield* sendAll(requests, concurrency, options.requestTimeoutSeconds)
  const opened =
    !client || provider.origin === null ? 0 : yield* transport.openConnections(provider.origin, concurrency)
  const ended = yield* Clock.monotonicTimeNanos
  return {
    rehearsed_requests: client ? rehearsals : 0,
    opened_connections: opened,
    requests: requests.length,
    failed_requests: failed,
    duration_s: Number(ended - started) / 1e9
  }
})
