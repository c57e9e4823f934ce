import * as Effect from "effect/Effect"
import * as Path from "effect/Path"
import { ChildProcess } from "effect/process"
import * as Stream from "effect/Stream"
import { during } from "../internal/BenchError.ts"
import { alternate, type PartResult } from "../internal/Part.ts"
import * as Row from "../internal/Row.ts"
import * as Server from "../internal/Server.ts"
import { Setup } from "../internal/Setup.ts"
import * as Sides from "../internal/Sides.ts"
import { quantile } from "../internal/Statistics.ts"

const load: Sides.Load = {
  requests: 1_000,
  concurrency: 100,
  inputTokens: { mean: 550, stddev: 150 },
  outputTokens: 100,
  pace: { ttftMs: 100, itlMs: 20 }
}
const tokens = load.requests * load.outputTokens

/** Starts a server that speaks both over TLS; gives its origin, and the file of its certificate. */
const startServer = Effect.fn("http2.startServer")(
  function* () {
    const { root } = yield* Setup
    const path = yield* Path.Path
    const fixture = (name: string) => path.join(root, "test", "fixtures", "provider", name)
    const port = yield* Server.freePort
    const certificate = fixture("certificate.pem")
    const { stdout } = yield* ChildProcess.make(process.execPath, [path.join(root, "bench", "tls-server.mjs")], {
      stdin: "ignore",
      stderr: "inherit",
      env: { PORT: String(port), CERTIFICATE: certificate, KEY: fixture("key.pem") }
    })
    yield* Stream.runHead(stdout)
    return { origin: `https://127.0.0.1:${port}`, certificate }
  },
  Effect.catchTag("PlatformError", (error) => Effect.fail(during("Starting the server for HTTP/2")(error)))
)

const measure = Effect.fnUntraced(function* (origin: string, flags: ReadonlyArray<string>) {
  const { measured, recordsFile } = yield* Sides.ours({ ...load, flags }, origin)
  const records = yield* Sides.readRecords(recordsFile)
  const ttfts = records.map((record) => (record.ttft_s ?? 0) * 1e3)
  const chunks = records.reduce((sum, record) => sum + record.number_chunks, 0)
  return { measured, chunks, ttftMs: { p50: quantile(ttfts, 0.5), p99: quantile(ttfts, 0.99) } }
}, Effect.scoped)

/** What HTTP/2 costs and adds, next to HTTP/1.1, to the same server. */
export const run = Effect.gen(function* () {
  const { origin, certificate } = yield* startServer()
  const runs = yield* alternate("http2", {
    ours: measure(origin, ["--ca", certificate, "--http2"]),
    other: measure(origin, ["--ca", certificate])
  })
  const cpu = (of: "runCpuSeconds" | "processCpuSeconds", what: string) =>
    Row.ratio(
      what,
      "µs",
      runs.ours.map(({ measured }) => (measured[of] * 1e6) / tokens),
      runs.other.map(({ measured }) => (measured[of] * 1e6) / tokens)
    )
  const ttft = (of: "p50" | "p99") =>
    Row.difference(
      `TTFT ${of}`,
      "ms",
      runs.ours.map(({ ttftMs }) => ttftMs[of]),
      runs.other.map(({ ttftMs }) => ttftMs[of])
    )
  const lost = [...runs.ours, ...runs.other].reduce((sum, { chunks }) => sum + tokens - chunks, 0)
  const result: PartResult = {
    name: "http2",
    sides: ["HTTP/2", "HTTP/1.1"],
    settings:
      `${load.requests} requests, ${load.concurrency} at a time, ${load.outputTokens} tokens each, ` +
      `${load.pace.ttftMs} ms to the first and ${load.pace.itlMs} ms to every other token, TLS, server bench/tls-server.mjs`,
    rows: [
      cpu("runCpuSeconds", "CPU per token, first request to last answer"),
      cpu("processCpuSeconds", "CPU per token, whole process"),
      ttft("p50"),
      ttft("p99"),
      Row.ratio(
        "first request to last answer",
        "s",
        runs.ours.map(({ measured }) => measured.runWallSeconds),
        runs.other.map(({ measured }) => measured.runWallSeconds)
      )
    ],
    runs: [
      ...runs.ours.map((run) => ({ side: "HTTP/2", ...run })),
      ...runs.other.map((run) => ({ side: "HTTP/1.1", ...run }))
    ],
    failed: lost === 0 ? null : `http2: ${lost} tokens were lost`
  }
  return result
}).pipe(Effect.scoped)
