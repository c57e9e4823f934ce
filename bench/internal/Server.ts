import { createServer } from "node:net"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import { HttpClient } from "effect/http"
import { ChildProcess } from "effect/process"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { BenchError, during } from "./BenchError.ts"
import { Setup } from "./Setup.ts"

/** How the server answers: milliseconds, and tokens sent at once (1). Both servers read it from the name of the model. */
export interface Pace {
  readonly ttftMs: number
  readonly itlMs: number
  readonly perChunk?: number
}

export const modelName = ({ ttftMs, itlMs, perChunk }: Pace): string =>
  `sim;ttft=${ttftMs};itl=${itlMs}${perChunk === undefined ? "" : `;per=${perChunk}`}`

/** When the server received a request and handed each token to the socket, in epoch seconds. */
export const Truth = Schema.Struct({
  rid: Schema.String,
  recv: Schema.Finite,
  ok: Schema.Boolean,
  tokens: Schema.Array(Schema.Finite)
})

export interface Truth extends Schema.Schema.Type<typeof Truth> {}

/** A port that was free a moment ago: neither server can be asked for the port it took. */
export const freePort = Effect.callback<number, BenchError>((resume) => {
  const server = createServer()
  server.once("error", (error) => resume(Effect.fail(during("Looking for a free port")(error))))
  server.listen(0, "127.0.0.1", () => {
    const address = server.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    server.close(() => resume(Effect.succeed(port)))
  })
})

/** A server that runs. */
export interface Process {
  readonly origin: string
  readonly pid: number
}

/** Starts the mock server in a process of its own, which ends with the scope. */
export const startProcess = Effect.fn("Server.startProcess")(
  function* (options: { readonly truth: boolean }) {
    const { mockllm, llmperf } = yield* Setup
    const port = String(yield* freePort)
    const truth = options.truth ? ["--truth"] : []
    const [file, args] =
      mockllm === null
        ? [process.execPath, [llmperf.script, "serve", "--port", port, ...truth]]
        : [mockllm, [port, ...truth]]
    const { pid } = yield* ChildProcess.make(file, args, {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "ignore",
      env: {}
    })
    const origin = `http://127.0.0.1:${port}`
    yield* Effect.retry(HttpClient.get(`${origin}/health`), { schedule: Schedule.spaced("50 millis"), times: 200 })
    const server: Process = { origin, pid }
    return server
  },
  Effect.catchTags({
    PlatformError: (error) => Effect.fail(during("Starting the mock server")(error)),
    HttpClientError: (error) => Effect.fail(during("Waiting for the mock server")(error))
  })
)

/** As `startProcess`; gives the origin. */
export const start = (options: { readonly truth: boolean }) => Effect.map(startProcess(options), ({ origin }) => origin)

/** Linux counts processor time for programs in hundredths of a second, whatever its own timer does. */
const ticksPerSecond = 100

/** The processor time of the server until now; 0 where there is no /proc. */
export const cpuSeconds = Effect.fn("Server.cpuSeconds")(
  function* ({ pid }: Process) {
    const fs = yield* FileSystem.FileSystem
    const stat = yield* fs.readFileString(`/proc/${pid}/stat`)
    // The second field, the name in brackets, may hold anything; user and system time are the 14th and 15th.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
    return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
  },
  Effect.orElseSucceed(() => 0)
)

const decodeTruth = Schema.decodeUnknownEffect(Schema.fromJsonString(Truth))

const takeTruth = Effect.fnUntraced(function* (origin: string) {
  const response = yield* HttpClient.get(`${origin}/_truth`)
  const lines = (yield* response.text).split("\n").filter((line) => line !== "")
  return yield* Effect.forEach(lines, (line) => decodeTruth(line))
})

/**
 * The server's own record of the last `requests` requests, or of fewer where it does not know that many. A row is there only
 * when the server is through with its request, which may be a moment after the client is.
 */
export const knownTruth = Effect.fn("Server.knownTruth")(
  function* (origin: string, requests: number) {
    const rows: Array<Truth> = []
    for (let attempt = 0; attempt < 50 && rows.length < requests; attempt++) {
      if (attempt > 0) yield* Effect.sleep("20 millis")
      rows.push(...(yield* takeTruth(origin)))
    }
    return rows
  },
  Effect.catchTags({
    HttpClientError: (error) => Effect.fail(during("Reading the server's record")(error)),
    SchemaError: (error) => Effect.fail(during("Reading the server's record")(error))
  })
)

/** As `knownTruth`; fails unless the server knows of exactly `requests`. */
export const truth = Effect.fn("Server.truth")(function* (origin: string, requests: number) {
  const rows = yield* knownTruth(origin, requests)
  return rows.length === requests
    ? rows
    : yield* new BenchError({ description: `The server tells of ${rows.length} requests, not of ${requests}` })
})
