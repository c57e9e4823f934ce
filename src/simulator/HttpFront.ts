/**
 * The simulated model server over real HTTP, on a loopback address unless told otherwise, in the form of OpenAI's API and of others.
 *
 * - `POST /v1/chat/completions`, `POST /v1/completions` (also without `/v1` and below `/openai/v1`), streamed or whole;
 *   below `/openai/deployments/NAME` as Azure has them: the name is the model, and the query needs `api-version`
 * - `POST /v1/responses` (also without `/v1` and below `/openai`): OpenAI's Responses API
 * - `POST /v1/messages` (also without `/v1`): Anthropic's Messages API. It wants `anthropic-version` and a key
 * - `POST /api/chat`, `POST /api/generate`: Ollama's own API
 * - `POST /generate_stream`, `/generate` and `/`: Text Generation Inference
 * - `POST /v1/projects/…/locations/…/endpoints/…` with `:predict` or `:streamRawPredict`, and the same below `publishers`:
 *   Vertex AI; `POST /v1beta/models/MODEL:streamGenerateContent`: Gemini
 * - `POST /endpoints/NAME/invocations-response-stream` (and `/invocations`): SageMaker, signed requests only;
 *   `POST /model/NAME/converse-stream` (and `/converse`): Bedrock
 * - `GET /v1/models`, `GET /health`
 * - `GET /_stats`: counters of the model and of the server as JSON; `peakLive` starts anew at each call
 * - `GET /_truth`: NDJSON of the requests finished since the last call, when started with `truth`: `id` (order of arrival
 *   from 1), `rid` (its `x-request-id`), `recv`, `ok` (answered in full), `tokens` (when each chunk with content was handed
 *   to the socket); times in epoch seconds
 *
 * The headers of a stream leave at once. What comes before the content (for chats a role-only event) comes together with the
 * first content (before it with the fault `early-role`). A chunk is written the moment it is ready; chunks that are ready at the
 * same moment leave in one write. The output tokens of the usage are exact, prompt tokens are counted by `PromptTokens`.
 *
 * The model name may carry settings for that one request, times in milliseconds: `sim;ttft=100;itl=20;n=64;per=4;fault=reset:10`.
 * `ttft` and `itl` take `lognormal:100:0.5` and the like, `n` is output tokens, `per` tokens per chunk, `fault` any fault
 * (repeatable), `reason=10` stands for `fault=reasoning:10`, and faults may also be written alone (`;crlf;split`). A setting
 * that is not known is refused with 400. A model name in a path is URL-encoded.
 *
 * Any key is good, and none, unless said otherwise above; the key `wrong` is refused with 401, and so is `expired`, with the
 * answer that the API has for that if it has one. A key is a bearer token, one of the headers `x-api-key`, `api-key` and
 * `x-goog-api-key`, or `key` in the query.
 *
 * Faults act in every format, refusals and errors in the format's own words. Those that are about one format's form do nothing
 * in the others: `no-usage`, `empty-choices`, `nodone` are OpenAI's, `error-string` and the like are `error` elsewhere, and
 * `no-space` and `multi-line` need an event stream. The arguments of a tool call in a stream are the bare words, not JSON, so
 * that they count as many tokens as were asked for.
 *
 * Draws of a request depend on the number at the end of its `x-request-id`, or on its order of arrival if there is none.
 * Without streaming, `reset`, `close` and `stall` act in place of the answer and other faults in a stream do nothing.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import { isIPv4, isIPv6 } from "node:net"
import * as handler from "./internal/handler.ts"
import { rehearse } from "./internal/rehearsal.ts"
import { make as makeModel, ModelServer, ModelServerOptions } from "./ModelServer.ts"
import { PromptTokens } from "./PromptTokens.ts"
import { HostNotLoopback, ListenFailed, PortInUse, SimulatorError } from "./SimulatorError.ts"

/**
 * - `host`: an address of this machine (127.0.0.1)
 * - `beyondLoopback`: whether `host` may be another than a loopback address (no)
 * - `port`: 0 for any free one (0)
 * - `truth`: whether to keep when each request came and each chunk was sent (no)
 * - `rehearse`: whether to answer some requests of its own before it listens, on a port and with a model that are then gone, so that the
 *   first that come do not find cold code (no)
 * - `truthLimit`: most such moments held until they are asked for; beyond it the oldest requests are dropped and counted
 *
 * @category models
 * @since 0.1.0
 */
export const HttpFrontOptions = Schema.Struct({
  host: Schema.String.pipe(
    Schema.withConstructorDefault(Effect.succeed("127.0.0.1")),
    Schema.withDecodingDefaultKey(Effect.succeed("127.0.0.1"))
  ),
  beyondLoopback: Schema.Boolean.pipe(
    Schema.withConstructorDefault(Effect.succeed(false)),
    Schema.withDecodingDefaultKey(Effect.succeed(false))
  ),
  port: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 65535 })).pipe(
    Schema.withConstructorDefault(Effect.succeed(0)),
    Schema.withDecodingDefaultKey(Effect.succeed(0))
  ),
  truth: Schema.Boolean.pipe(
    Schema.withConstructorDefault(Effect.succeed(false)),
    Schema.withDecodingDefaultKey(Effect.succeed(false))
  ),
  rehearse: Schema.Boolean.pipe(
    Schema.withConstructorDefault(Effect.succeed(false)),
    Schema.withDecodingDefaultKey(Effect.succeed(false))
  ),
  truthLimit: Schema.Int.check(Schema.isGreaterThan(0)).pipe(
    Schema.withConstructorDefault(Effect.succeed(2_000_000)),
    Schema.withDecodingDefaultKey(Effect.succeed(2_000_000))
  )
})

/**
 * @category models
 * @since 0.1.0
 */
export interface HttpFrontOptions extends Schema.Schema.Type<typeof HttpFrontOptions> {}

/**
 * Where the server listens: `url` is `http://host:port`, without a path.
 *
 * @category services
 * @since 0.1.0
 */
export class HttpFront extends Context.Service<
  HttpFront,
  { readonly url: string; readonly host: string; readonly port: number }
>()("llmperf/simulator/HttpFront") {}

const isLoopback = (host: string): boolean =>
  host === "localhost" || host === "::1" || (isIPv4(host) && host.startsWith("127."))

const codeOf = (error: Error): string | null => ("code" in error && typeof error.code === "string" ? error.code : null)

const listen = (server: Server, host: string, port: number): Effect.Effect<number, SimulatorError> =>
  Effect.callback((resume) => {
    const onError = (error: Error): void => {
      const code = codeOf(error)
      const reason =
        code === "EADDRINUSE"
          ? new PortInUse({ host, port })
          : new ListenFailed({ host, port, code, description: error.message })
      resume(Effect.fail(new SimulatorError({ reason })))
    }
    server.once("error", onError)
    server.listen({ host, port, backlog: 4096 }, () => {
      server.off("error", onError)
      const address = server.address()
      resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : port))
    })
  })

const shutDown = (server: Server): Effect.Effect<void> =>
  Effect.callback((resume) => {
    server.close(() => resume(Effect.void))
    server.closeAllConnections()
  })

/**
 * Listens until the scope closes; then the connections are closed too.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fn("HttpFront.make")(function* (
  options: HttpFrontOptions
): Effect.fn.Return<HttpFront["Service"], SimulatorError, ModelServer | Scope.Scope> {
  const { host, beyondLoopback } = options
  if (!isLoopback(host) && (!beyondLoopback || host === ""))
    return yield* new SimulatorError({ reason: new HostNotLoopback({ host }) })
  if (options.rehearse) yield* rehearsed
  return yield* open(yield* ModelServer, options)
})

/** That it cannot listen is said by the real one. */
const rehearsed = Effect.gen(function* () {
  const model = yield* makeModel(ModelServerOptions.make({}))
  const { url } = yield* open(model, HttpFrontOptions.make({}))
  yield* rehearse(url)
}).pipe(Effect.scoped, Effect.ignore)

const open = Effect.fnUntraced(function* (
  model: ModelServer["Service"],
  options: HttpFrontOptions
): Effect.fn.Return<HttpFront["Service"], SimulatorError, Scope.Scope> {
  const { host } = options
  const clock = yield* Clock.Clock
  const fibers = yield* FiberSet.make()
  const run = yield* FiberSet.runtime(fibers)<never>()
  const countTokens = yield* PromptTokens
  const handle = handler.make({
    model,
    clock,
    countTokens,
    truthLimit: options.truth ? options.truthLimit : undefined
  })
  const server = createServer(
    // Timers of the HTTP server that would end connections on their own are off: a client may pause as long as it likes.
    { keepAliveTimeout: 0, headersTimeout: 0, requestTimeout: 0, noDelay: true },
    (request: IncomingMessage, response: ServerResponse) => {
      run(handle.answer(request, response))
    }
  )
  server.on("connection", handle.connected)
  const port = yield* Effect.acquireRelease(listen(server, host, options.port), () => shutDown(server))
  return HttpFront.of({ url: `http://${isIPv6(host) ? `[${host}]` : host}:${port}`, host, port })
})

/**
 * The server as a service.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: HttpFrontOptions): Layer.Layer<HttpFront, SimulatorError, ModelServer> =>
  Layer.effect(HttpFront, make(options))
