import { createServer } from "node:net"
import * as Effect from "effect/Effect"
import { HttpClient } from "effect/http"
import { ChildProcess } from "effect/process"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { BenchError, during } from "./BenchError.ts"
import { Setup } from "./Setup.ts"

/** How the server answers, in milliseconds; both servers read it from the name of the model. */
export interface Pace {
  readonly ttftMs: number
  readonly itlMs: number
}

export const modelName = ({ ttftMs, itlMs }: Pace): string => `sim;ttft=${ttftMs};itl=${itlMs}`

/** When the server received a request and handed each token to the socket, in epoch seconds. */
export const Truth = Schema.Struct({
  rid: Schema.String,
  recv: Schema.Finite,
  ok: Schema.Boolean,
  tokens: Schema.Array(Schema.Finite)
})

export interface Truth extends Schema.Schema.Type<typeof Truth> {}

/** A port that was free a moment ago: neither server can be asked for the port it took. */
const freePort = Effect.callback<number, BenchError>((resume) => {
  const server = createServer()
  server.once("error", (error) => resume(Effect.fail(during("Looking for a free port")(error))))
  server.listen(0, "127.0.0.1", () => {
    const address = server.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    server.close(() => resume(Effect.succeed(port)))
  })
})

/** Starts the mock server in a process of its own, which ends with the scope. Gives its origin. */
export const start = Effect.fn("Server.start")(
  function* (options: { readonly truth: boolean }) {
    const { mockllm, llmperf } = yield* Setup
    const port = String(yield* freePort)
    const truth = options.truth ? ["--truth"] : []
    const [file, args] =
      mockllm === null
        ? [process.execPath, [llmperf.script, "serve", "--port", port, ...truth]]
        : [mockllm, [port, ...truth]]
    yield* ChildProcess.make(file, args, { stdin: "ignore", stdout: "ignore", stderr: "ignore", env: {} })
    const origin = `http://127.0.0.1:${port}`
    yield* Effect.retry(HttpClient.get(`${origin}/health`), { schedule: Schedule.spaced("50 millis"), times: 200 })
    return origin
  },
  Effect.catchTags({
    PlatformError: (error) => Effect.fail(during("Starting the mock server")(error)),
    HttpClientError: (error) => Effect.fail(during("Waiting for the mock server")(error))
  })
)

const decodeTruth = Schema.decodeUnknownEffect(Schema.fromJsonString(Truth))

const takeTruth = Effect.fnUntraced(function* (origin: string) {
  const response = yield* HttpClient.get(`${origin}/_truth`)
  const lines = (yield* response.text).split("\n").filter((line) => line !== "")
  return yield* Effect.forEach(lines, (line) => decodeTruth(line))
})

/**
 * The server's own record of the last `requests` requests. A row is there only when the server is through with its
 * request, which may be a moment after the client is.
 */
export const truth = Effect.fn("Server.truth")(
  function* (origin: string, requests: number) {
    const rows: Array<Truth> = []
    for (let attempt = 0; attempt < 50 && rows.length < requests; attempt++) {
      if (attempt > 0) yield* Effect.sleep("20 millis")
      rows.push(...(yield* takeTruth(origin)))
    }
    return rows.length === requests
      ? rows
      : yield* new BenchError({ description: `The server tells of ${rows.length} requests, not of ${requests}` })
  },
  Effect.catchTags({
    HttpClientError: (error) => Effect.fail(during("Reading the server's record")(error)),
    SchemaError: (error) => Effect.fail(during("Reading the server's record")(error))
  })
)
