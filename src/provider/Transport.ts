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
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Agent, type Dispatcher } from "undici"
import * as LlmError from "../domain/LlmError.ts"
import { type TokenEvent } from "../domain/TokenEvent.ts"
import { Connections } from "./internal/connections.ts"
import { Exchange } from "./internal/Exchange.ts"
import * as NetworkProxy from "./internal/networkProxy.ts"
import * as NetworkTls from "./internal/networkTls.ts"
import { refusalText } from "./internal/networkTunnel.ts"
import * as Secrets from "./internal/secrets.ts"
import { Unread } from "./Provider.ts"
import { type MakeDecoder } from "./wire/StreamDecoder.ts"

/**
 * One request, ready to be written. `headers` is a flat list of names and values.
 *
 * No secret of it gets into a failure, whatever the server repeats: the values of headers and query parameters whose names
 * tell of secrets (`authorization`, `…key`, `…token`, `cookie`, …), and `secrets`, for those that are anywhere else.
 *
 * @category models
 * @since 0.1.0
 */
export interface HttpRequest {
  readonly origin: string
  readonly path: string
  readonly headers: ReadonlyArray<string>
  readonly body: string
  readonly secrets?: ReadonlyArray<Redacted.Redacted<string>> | undefined
}

/**
 * How an API's answers are read: a decoder per response, and its error object in a body that is no stream.
 *
 * - `errorOf`: what the API says in a body that is no stream, and in the headers with it, whose names are in lower case;
 *   `undefined` when that is no error
 * - `accepts`: whether a body of status 200 is for the decoder, by its first bytes and its `content-type`; by default event
 *   streams are. Every other body is an error or not understood
 *
 * @category models
 * @since 0.1.0
 */
export interface Format {
  readonly makeDecoder: MakeDecoder
  readonly errorOf: (
    body: string,
    headers: { readonly [name: string]: string | Array<string> | undefined }
  ) => LlmError.InStream | undefined
  readonly accepts?: ((bytes: Buffer, contentType: string) => boolean) | undefined
}

/**
 * How servers are known, and how they know us; `security` makes it.
 *
 * @category models
 * @since 0.2.0
 */
export interface Security extends NetworkTls.Security {}

/**
 * - `ca`: texts with certificates (PEM) of authorities to trust besides those that Node.js trusts
 * - `verify` (true): whether a certificate must be signed by one of them, valid, and made for the host
 * - `clientCertificate`: what to show to servers that ask for it (PEM; the key without a password)
 *
 * @category models
 * @since 0.2.0
 */
export interface SecurityOptions extends NetworkTls.SecurityOptions {}

/**
 * Reads certificates and keys. Fails with `LlmError` (`Tls`) when they cannot be used.
 *
 * @category constructors
 * @since 0.2.0
 */
export const security: (options: SecurityOptions) => Effect.Effect<Security, LlmError.LlmError> = NetworkTls.security

/**
 * Which proxy requests to an origin go through; `proxies` makes it.
 *
 * @category models
 * @since 0.2.0
 */
export interface Proxies extends NetworkProxy.Proxies {}

/**
 * Addresses of proxies, with a login if they ask for one: `http://user:password@host:port`.
 *
 * - `all`: for every request, also to this computer; takes the place of the other two
 * - `http`, `https`: for requests to such addresses, except to this computer itself
 * - `noProxy`: hosts that are reached without, as in `NO_PROXY`: names (with all names below), addresses, networks such as
 *   `10.0.0.0/8`, each with `:port` or without; `*` for all
 *
 * @category models
 * @since 0.2.0
 */
export interface ProxyOptions extends NetworkProxy.ProxyOptions {}

/**
 * Fails with `LlmError` (`Protocol`) when an address is none of a proxy that speaks HTTP.
 *
 * @category constructors
 * @since 0.2.0
 */
export const proxies: (options: ProxyOptions) => Effect.Effect<Proxies, LlmError.LlmError> = NetworkProxy.proxies

/**
 * Knobs, all with defaults.
 *
 * - `connectSeconds` (10): limit for DNS, TCP and TLS together
 * - `idleSeconds` (180): limit for the headers to come, and between two reads of the body
 * - `flushMs` (250): how often, at most, a reader is woken while its answer is coming in. Stamps do not depend on it
 * - `security`: whose certificates to trust, and our own; by default Node.js decides
 * - `proxies`: by default there are none
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly connectSeconds?: number | undefined
  readonly idleSeconds?: number | undefined
  readonly flushMs?: number | undefined
  readonly security?: Security | undefined
  readonly proxies?: Proxies | undefined
}

/**
 * A request as it may be shown: the values of secrets are replaced by their lengths.
 *
 * - `path`: with its query; `proxy`: the address of the proxy it goes through, without a login
 *
 * @category models
 * @since 0.2.0
 */
export interface ShownRequest {
  readonly method: string
  readonly origin: string
  readonly path: string
  readonly headers: ReadonlyArray<readonly [name: string, value: string]>
  readonly body: string
  readonly proxy: string | null
}

/**
 * Who watches requests: for showing one, not for measuring many.
 *
 * - `onRequest`: before it is handed to a connection
 * - `onResponse`: with status and headers of the answer, at `at` nanoseconds on the monotonic clock
 *
 * @category models
 * @since 0.2.0
 */
export interface Observer {
  readonly onRequest: (request: ShownRequest) => void
  readonly onResponse: (
    status: number,
    headers: ReadonlyArray<readonly [name: string, value: string]>,
    at: number
  ) => void
}

/**
 * Who watches the requests of a fiber; nobody by default.
 *
 * @category references
 * @since 0.2.0
 */
export const Observed = Context.Reference<Observer | null>("llmperf/provider/Transport/Observed", {
  defaultValue: () => null
})

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

  const connections = new Connections({
    connectTimeoutMs: connectSeconds * 1_000,
    now,
    security: options.security,
    proxies: options.proxies
  })
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

  // Only plain http is asked of the proxy itself; of https it sees a tunnel, which the connections ask for.
  const forwarders = new Map<string, NetworkProxy.Proxy | null>()
  const forwarderOf = (origin: string): NetworkProxy.Proxy | null => {
    if (options.proxies === undefined || origin.startsWith("https:")) return null
    let proxy = forwarders.get(origin)
    if (proxy === undefined) forwarders.set(origin, (proxy = options.proxies.of(origin)))
    return proxy
  }

  const stream: Service["stream"] = (makeRequest, format) =>
    Stream.fromChannel(
      Channel.fromTransform((_upstream, scope) =>
        Effect.flatMap(Unread, (unread) =>
          Effect.flatMap(Observed, (observer) => {
            const request = makeRequest()
            const forwarder = forwarderOf(request.origin)
            const exchange = new Exchange({
              now,
              onStart,
              flushMs,
              connectSeconds,
              idleSeconds,
              ...format,
              told: (reason) => told(reason, request, forwarder)
            })
            const written: Dispatcher.DispatchOptions & { readonly headers: Array<string> } = {
              origin: request.origin,
              path: forwarder === null ? request.path : `${request.origin}${request.path}`,
              method: "POST",
              headers: [...request.headers, ...loginOf(forwarder)],
              body: request.body
            }
            if (observer === null) agent.dispatch(written, exchange)
            else {
              const proxy = options.proxies?.of(request.origin)?.name ?? null
              observer.onRequest({
                method: written.method,
                origin: request.origin,
                path: Secrets.shownPath(request.path),
                headers: Secrets.shownHeaders(written.headers),
                body: Secrets.masking(request)(request.body),
                proxy
              })
              agent.dispatch(written, observing(exchange, observer, request, now))
            }
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

const loginOf = (proxy: NetworkProxy.Proxy | null): ReadonlyArray<string> =>
  proxy === null || proxy.authorization === null ? [] : ["proxy-authorization", Redacted.value(proxy.authorization)]

/** The reason of a failure without secrets, and the proxy named where the failure is its own. */
const told = (reason: LlmError.Reason, request: HttpRequest, proxy: NetworkProxy.Proxy | null): LlmError.Reason => {
  if (proxy !== null && reason._tag === "HttpStatus" && reason.status === 407) {
    return new LlmError.Connect({
      description: refusalText(proxy, new URL(request.origin).host, reason.status),
      code: "PROXY_407"
    })
  }
  return Secrets.maskReason(reason, Secrets.masking(request))
}

type ResponseHeaders = Parameters<NonNullable<Dispatcher.DispatchHandler["onResponseStart"]>>[2]

const pairsOf = (headers: ResponseHeaders): ReadonlyArray<readonly [name: string, value: string]> =>
  Object.entries(headers).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value ?? ""]).map((each) => [name, each] as const)
  )

/** An exchange whose answer is shown to an observer. */
const observing = (
  exchange: Exchange,
  observer: Observer,
  request: HttpRequest,
  now: () => number
): Dispatcher.DispatchHandler => ({
  onRequestStart: (controller) => exchange.onRequestStart(controller),
  onResponseStart: (controller, status, headers) => {
    const at = now()
    exchange.onResponseStart(controller, status, headers)
    if (status < 200) return
    const mask = Secrets.masking(request)
    observer.onResponse(
      status,
      pairsOf(headers).map(([name, value]) => [name, name === "set-cookie" ? Secrets.hidden : mask(value)] as const),
      at
    )
  },
  onResponseData: (controller, chunk) => exchange.onResponseData(controller, chunk),
  onResponseEnd: () => exchange.onResponseEnd(),
  onResponseError: (controller, error) => exchange.onResponseError(controller, error)
})

/**
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<Transport> => Layer.effect(Transport, make(options))
