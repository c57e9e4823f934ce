/**
 * The socket side of every HTTP provider: sends one request and stamps what comes back.
 *
 * It drives undici's dispatcher directly. The request is stamped as its bytes are about to be written, every chunk in the
 * socket's data callback, both on the monotonic clock of the `Clock` service. HTTP/1.1, one request per connection at a
 * time, as many connections as there are requests in flight.
 *
 * @since 0.1.0
 */
import * as DiagnosticsChannel from "node:diagnostics_channel"
import * as Channel from "effect/Channel"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Agent } from "undici"
import type * as LlmError from "../domain/LlmError.ts"
import { type TokenEvent } from "../domain/TokenEvent.ts"
import { Connections } from "./internal/connections.ts"
import { Exchange } from "./internal/Exchange.ts"
import { Unread } from "./Provider.ts"
import { type MakeDecoder } from "./wire/StreamDecoder.ts"

/**
 * One request, ready to be written. `headers` is a flat list of names and values.
 *
 * @category models
 * @since 0.1.0
 */
export interface HttpRequest {
  readonly origin: string
  readonly path: string
  readonly headers: ReadonlyArray<string>
  readonly body: string
}

/**
 * How an API's answers are read: a decoder per response, and its error object in a body that is no stream.
 *
 * - `accepts`: whether a body of status 200 is for the decoder, by its first bytes and its `content-type`; by default event
 *   streams are. Every other body is an error or not understood
 *
 * @category models
 * @since 0.1.0
 */
export interface Format {
  readonly makeDecoder: MakeDecoder
  readonly errorOf: (body: string) => LlmError.InStream | undefined
  readonly accepts?: ((bytes: Buffer, contentType: string) => boolean) | undefined
}

/**
 * Knobs, all with defaults.
 *
 * - `connectSeconds` (10): limit for DNS, TCP and TLS together
 * - `idleSeconds` (180): limit for the headers to come, and between two reads of the body
 * - `flushMs` (250): how often, at most, a reader is woken while its answer is coming in. Stamps do not depend on it
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly connectSeconds?: number | undefined
  readonly idleSeconds?: number | undefined
  readonly flushMs?: number | undefined
}

/**
 * - `stream`: makes the request and sends it when run; interrupting it closes the connection
 * - `openConnections(origin, count)`: opens connections ahead and keeps them for requests to come; tells how many it could
 *   open, and gives up after the first that fails
 *
 * @category models
 * @since 0.1.0
 */
export interface Service {
  readonly stream: (request: () => HttpRequest, format: Format) => Stream.Stream<TokenEvent, LlmError.LlmError>
  readonly openConnections: (origin: string, count: number) => Effect.Effect<number>
}

/**
 * @category services
 * @since 0.1.0
 */
export class Transport extends Context.Service<Transport, Service>()("llmperf/provider/Transport") {}

/**
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fn("Transport.make")(function* (options: Options = {}) {
  const clock = yield* Clock.Clock
  const now = () => Number(clock.monotonicTimeNanosUnsafe())
  const connectSeconds = options.connectSeconds ?? 10
  const idleSeconds = options.idleSeconds ?? 180
  const flushMs = options.flushMs ?? 250
  // undici takes nothing but whole milliseconds, and 0 for no limit.
  const idleMs = Math.max(1, Math.round(idleSeconds * 1_000))

  const connections = new Connections({ connectTimeoutMs: connectSeconds * 1_000, now })
  const agent = yield* Effect.acquireRelease(
    Effect.sync(
      () =>
        new Agent({
          connections: null,
          pipelining: 1,
          allowH2: false,
          connect: connections.connector,
          headersTimeout: idleMs,
          bodyTimeout: idleMs
        })
    ),
    (agent) =>
      Effect.promise(() => {
        connections.close()
        return agent.destroy()
      })
  )

  // undici publishes the socket of a request right after it announced its start, in the same turn.
  let starting: Exchange | undefined
  const onSendHeaders = (message: unknown): void => {
    if (starting === undefined || typeof message !== "object" || message === null || !("socket" in message)) return
    const timing = connections.takeTiming(message.socket)
    if (timing !== null) starting.setConnection(timing)
    starting = undefined
  }
  yield* Effect.acquireRelease(
    Effect.sync(() => DiagnosticsChannel.subscribe("undici:client:sendHeaders", onSendHeaders)),
    () => Effect.sync(() => DiagnosticsChannel.unsubscribe("undici:client:sendHeaders", onSendHeaders))
  )

  const onStart = (exchange: Exchange): void => {
    starting = exchange
  }

  const stream: Service["stream"] = (makeRequest, format) =>
    Stream.fromChannel(
      Channel.fromTransform((_upstream, scope) =>
        Effect.flatMap(Unread, (unread) => {
          const request = makeRequest()
          const exchange = new Exchange({ now, onStart, flushMs, connectSeconds, idleSeconds, ...format })
          agent.dispatch(
            {
              origin: request.origin,
              path: request.path,
              method: "POST",
              headers: [...request.headers],
              body: request.body
            },
            exchange
          )
          return Effect.as(
            Scope.addFinalizer(
              scope,
              Effect.sync(() => {
                const events = exchange.cancel()
                if (events.length > 0) unread(events)
              })
            ),
            exchange.pull
          )
        })
      )
    )

  const openOne = (origin: string) =>
    Effect.callback<void, Error>((resume) =>
      connections.openAhead(origin, (error) => resume(error === null ? Effect.void : Effect.fail(error)))
    )

  const openConnections: Service["openConnections"] = (origin, count) => {
    let opened = 0
    const opening = Effect.map(openOne(origin), () => {
      opened++
    })
    return Effect.forEach(Array.from({ length: count }), () => opening, { concurrency: 64, discard: true }).pipe(
      Effect.ignore,
      Effect.map(() => opened)
    )
  }

  return Transport.of({ stream, openConnections })
})

/**
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<Transport> => Layer.effect(Transport, make(options))
