/**
 * An HTTP server that Prometheus scrapes while a run goes. It runs on the thread that calls it: see `LiveMetrics` for one of its own.
 *
 * `GET /metrics` is the metrics, in the format that the `Accept` header prefers: OpenMetrics 1.0.0 for who names it, the text format of
 * Prometheus (0.0.4) for everybody else. `GET /` says where they are. `HEAD` is answered as `GET` without its body.
 *
 * @since 0.2.0
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { createServer, type Server } from "node:http"
import { isIPv6 } from "node:net"
import * as Accept from "./internal/accept.ts"
import { LiveMetricsError } from "./LiveMetricsError.ts"
import { contentType, type Format } from "./OpenMetrics.ts"

/**
 * - `host`: the address to listen on: with `127.0.0.1` nothing but this machine gets an answer, with `0.0.0.0` everything does
 * - `port`: 0 for any that is free
 * - `text`: the metrics at this moment
 *
 * @category models
 * @since 0.2.0
 */
export interface Options {
  readonly host: string
  readonly port: number
  readonly text: (format: Format) => string
}

/**
 * @category models
 * @since 0.2.0
 */
export interface Request {
  readonly method: string
  readonly target: string
  readonly accept: string
}

/**
 * @category models
 * @since 0.2.0
 */
export interface Answer {
  readonly status: number
  readonly headers: { readonly [name: string]: string }
  readonly body: string
}

/**
 * What is answered to a request. The body is that of a `GET`, whatever the method.
 *
 * @category answering
 * @since 0.2.0
 */
export const answer = ({ accept, method, target }: Request, text: Options["text"]): Answer => {
  if (method !== "GET" && method !== "HEAD") {
    return { ...plain(405, "Only GET and HEAD are answered"), headers: { ...PLAIN, allow: "GET, HEAD" } }
  }
  switch (pathOf(target)) {
    case "/metrics": {
      const format = Accept.formatOf(accept)
      return {
        status: 200,
        headers: { "content-type": contentType[format], "cache-control": "no-store", vary: "accept" },
        body: text(format)
      }
    }
    case "/":
      return plain(200, "llmperf: the metrics of the run are at /metrics")
    default:
      return plain(404, "There is nothing here: the metrics are at /metrics")
  }
}

/**
 * Listens until the scope closes, and gives the address, `http://host:port/metrics`. Fails when it cannot listen.
 *
 * @category constructors
 * @since 0.2.0
 */
export const start = Effect.fn("PrometheusServer.start")(function* (
  options: Options
): Effect.fn.Return<{ readonly url: string }, LiveMetricsError, Scope.Scope> {
  const { host, text } = options
  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MILLIS }, (request, response) => {
    const { body, headers, status } = answer(
      { method: request.method ?? "", target: request.url ?? "", accept: request.headers.accept ?? "" },
      text
    )
    // What a client still sends is not read: the connection ends with the answer
    if (status === 405) response.setHeader("connection", "close")
    response.writeHead(status, { ...headers, "content-length": Buffer.byteLength(body) })
    response.end(request.method === "HEAD" ? undefined : body)
  })
  server.maxConnections = MOST_CONNECTIONS
  const port = yield* Effect.acquireRelease(listen(server, options), () => shutDown(server))
  return { url: `http://${isIPv6(host) ? `[${host}]` : host}:${port}/metrics` }
})

/** Longer than scrapes are apart by default, so that they find their connection open. */
const KEEP_ALIVE_MILLIS = 65_000
const MOST_CONNECTIONS = 64

const PLAIN = { "content-type": "text/plain; charset=utf-8" }

const plain = (status: number, line: string): Answer => ({ status, headers: PLAIN, body: `${line}\n` })

const pathOf = (target: string): string => target.replace(/\?.*$/s, "").replace(/(?<=.)\/$/, "")

const listen = (server: Server, { host, port }: Options): Effect.Effect<number, LiveMetricsError> =>
  Effect.callback((resume) => {
    const onError = (error: Error): void => {
      const code = "code" in error && typeof error.code === "string" ? error.code : null
      resume(Effect.fail(listenError(host, port, code, error.message)))
    }
    server.once("error", onError)
    server.listen({ host, port }, () => {
      server.off("error", onError)
      // One that fails later (too many files open) has lost a client, not the run
      server.on("error", () => undefined)
      const address = server.address()
      resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : port))
    })
  })

const listenError = (host: string, port: number, code: string | null, message: string): LiveMetricsError => {
  const problem = (what: string) => `Metrics cannot be served on port ${port} of ${host}: ${what}`
  switch (code) {
    case "EADDRINUSE":
      return new LiveMetricsError({
        problem: problem("it is in use"),
        advice: "Choose another with --prometheus-port; 0 takes any that is free."
      })
    case "EACCES":
      return new LiveMetricsError({
        problem: problem("that is not allowed"),
        advice: "Choose a port above 1023 with --prometheus-port."
      })
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return new LiveMetricsError({
        problem: problem("this machine has no such address"),
        advice:
          "Give --prometheus-host one that it has: 127.0.0.1 for this machine only, 0.0.0.0 for all its addresses."
      })
    default:
      return new LiveMetricsError({
        problem: problem(message),
        advice: "Choose others with --prometheus-port and --prometheus-host."
      })
  }
}

const shutDown = (server: Server): Effect.Effect<void> =>
  Effect.callback((resume) => {
    server.close(() => resume(Effect.void))
    server.closeAllConnections()
  })
