/** One address for a collector of spans and one of metrics: each is handed what is for it, with all its headers. */
import * as Effect from "effect/Effect"
import { createServer, request } from "node:http"
import * as MetricsCollector from "./otlpMetricsCollector.ts"
import * as SpansCollector from "./otlpCollector.ts"

export const start = Effect.fn("otlpBoth.start")(function* () {
  const spans = yield* SpansCollector.start()
  const metrics = yield* MetricsCollector.start()
  const strays: Array<string> = []
  const server = yield* Effect.acquireRelease(
    Effect.callback<ReturnType<typeof createServer>>((resume) => {
      const made = createServer((message, to) => {
        const { headers, method = "", url = "" } = message
        const origin = url === "/v1/traces" ? spans.url : url === "/v1/metrics" ? metrics.url : null
        if (origin === null) {
          strays.push(`${method} ${url}`)
          to.writeHead(404).end()
          return
        }
        const onward = request(`${origin}${url}`, { method, headers }, (answer) => {
          to.writeHead(answer.statusCode ?? 502, answer.headers)
          answer.pipe(to)
        })
        onward.on("error", () => to.destroy())
        message.pipe(onward)
      })
      made.listen(0, "127.0.0.1", () => resume(Effect.succeed(made)))
    }),
    (made) =>
      Effect.callback<void>((resume) => {
        made.close(() => resume(Effect.void))
        made.closeAllConnections()
      })
  )
  const address = server.address()
  return {
    url: `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`,
    spans,
    metrics,
    problems: () => [...strays, ...spans.problems, ...metrics.problems]
  }
})
