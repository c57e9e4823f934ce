/**
 * The socket side of every HTTP provider: sends one request and stamps what comes back.
 *
 * It drives sockets directly. The request is stamped as its bytes are handed to the socket, all that comes back in the
 * socket's data callback, both on the monotonic clock of the `Clock` service. HTTP/1.1, one request per connection at a
 * time, as many connections as there are requests in flight; or HTTP/2, many requests per connection.
 *
 * @since 0.1.0
 */
import * as DiagnosticsChannel from "node:diagnostics_channel"
import type * as Https from "node:https"
import * as Channel from "effect/Channel"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as LlmError from "../domain/LlmError.ts"
import { type TokenEvent } from "../domain/TokenEvent.ts"
import { Exchange, type ExchangeOptions } from "./internal/Exchange.ts"
import { HttpsAgent } from "./internal/httpsAgent.ts"
import { Connector } from "./internal/netConnector.ts"
import { Pool } from "./internal/netPool.ts"
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
 * - `http2` (false): speak HTTP/2, up to 100 requests at a time on one connection. Over TLS only; fails where the server does
 *   not speak it
 * - `connections` ("reuse"): "fresh" opens a new connection for every request, when it is due. HTTP/1.1 only
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
  readonly http2?: boolean | undefined
  readonly connections?: "reuse" | "fresh" | undefined
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
 * - `onBody`: when the answer is over, with the beginning of what its decoder was given
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
  readonly onBody?: ((text: string) => void) | undefined
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
 * - `agent`: for packages that fetch credentials with Node.js's own client: it goes through the same proxies and trusts the same
 *   certificates. Without one they use Node.js's
 *
 * @category models
 * @since 0.1.0
 */
export interface Service {
  readonly stream: (request: () => HttpRequest, format: Format) => Stream.Stream<TokenEvent, LlmError.LlmError>
  readonly openConnections: (origin: string, count: number) => Effect.Effect<number>
  readonly agent?: Https.Agent | undefined
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
  const isReusing = (options.connections ?? "reuse") === "reuse"

  const network = {
    connectTimeoutMs: connectSeconds * 1_000,
    now,
    security: options.security,
    proxies: options.proxies
  }
  const pool = yield* Effect.acquireRelease(
    Effect.sync(() => new Pool({ ...network, idleMs: idleSeconds * 1_000, http2: options.http2 ?? false, isReusing })),
    (pool) => Effect.sync(() => pool.close())
  )
  const connector = yield* Effect.acquireRelease(
    Effect.sync(() => new Connector({ ...network, http2: false })),
    (connector) => Effect.sync(() => connector.close())
  )

  const send = (request: HttpRequest, format: Format, observer: Observer | null): Exchange => {
    const { host, proxy } = pool.routeTo(request.origin)
    // Only plain http is asked of the proxy itself; of https it sees a tunnel, which the connections ask for.
    const forwarder = request.origin.startsWith("https:") ? null : proxy
    const path = forwarder === null ? request.path : `${request.origin}${request.path}`
    const headers = [...request.headers, ...loginOf(forwarder), ...(isReusing ? [] : ["connection", "close"])]
    const kept = observer?.onBody === undefined ? null : keeping(format.makeDecoder)
    const exchange = new Exchange({
      now,
      flushMs,
      connectSeconds,
      idleSeconds,
      ...format,
      ...(kept === null ? {} : { makeDecoder: kept.makeDecoder }),
      onAnswer: observer === null ? undefined : showing(observer, request),
      told: (reason) => told(reason, request, forwarder),
      onOver: (isComplete) => {
        if (kept !== null) observer?.onBody?.(Secrets.masking(request)(kept.text()))
        if (ended.hasSubscribers) ended.publish({ origin: request.origin, isComplete })
      }
    })
    if (started.hasSubscribers) started.publish({ origin: request.origin })
    observer?.onRequest({
      method: "POST",
      origin: request.origin,
      path: Secrets.shownPath(request.path),
      headers: Secrets.shownHeaders(headers),
      body: Secrets.masking(request)(request.body),
      proxy: proxy?.name ?? null
    })
    try {
      pool.send(request.origin, exchange, { path, host, headers, body: request.body })
    } catch (error) {
      exchange.onError(error)
    }
    return exchange
  }

  const stream: Service["stream"] = (makeRequest, format) =>
    Stream.fromChannel(
      Channel.fromTransform((_upstream, scope) =>
        Effect.flatMap(Unread, (unread) =>
          Effect.flatMap(Observed, (observer) => {
            const exchange = send(makeRequest(), format, observer)
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
      pool.openAhead(origin, (error) => resume(error === null ? Effect.void : Effect.fail(error)))
    )

  const openConnections: Service["openConnections"] = (origin, count) => {
    let opened = 0
    const opening = Effect.map(openOne(origin), () => {
      opened++
    })
    const wanted = pool.connectionsFor(count)
    return Effect.forEach(Array.from({ length: wanted }), () => opening, { concurrency: 64, discard: true }).pipe(
      Effect.ignore,
      Effect.map(() => opened)
    )
  }

  return Transport.of({ stream, openConnections, agent: new HttpsAgent(connector) })
})

/** Who wants to follow all requests of a process can subscribe to these. Messages hold no secrets. */
const started = DiagnosticsChannel.channel("llmperf:request:start")
const ended = DiagnosticsChannel.channel("llmperf:request:end")

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

/** Characters of an answer that an observer is shown. */
const MOST_SHOWN = 4_000

/** The same decoder, and the beginning of what it is given. */
const keeping = (make: MakeDecoder): { readonly makeDecoder: MakeDecoder; readonly text: () => string } => {
  const utf8 = new TextDecoder()
  let text = ""
  const keep = (bytes: Buffer): void => {
    if (text.length < MOST_SHOWN) text += utf8.decode(bytes, { stream: true })
  }
  const makeDecoder: MakeDecoder = (out) => {
    const decoder = make(out)
    return {
      push: (bytes, at) => {
        keep(bytes)
        return decoder.push(bytes, at)
      },
      end: (at) => decoder.end(at),
      get done() {
        return decoder.done
      }
    }
  }
  return { makeDecoder, text: () => text.slice(0, MOST_SHOWN) }
}

/** Shows an answer to an observer, without secrets. */
const showing =
  (observer: Observer, request: HttpRequest): ExchangeOptions["onAnswer"] =>
  (status, headers, at) => {
    const mask = Secrets.masking(request)
    const shown = Object.entries(headers).flatMap(([name, value]) =>
      (Array.isArray(value) ? value : [value ?? ""]).map(
        (each) => [name, name === "set-cookie" ? Secrets.hidden : mask(each)] as const
      )
    )
    observer.onResponse(status, shown, at)
  }

/**
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<Transport> => Layer.effect(Transport, make(options))
