import * as Effect from "effect/Effect"
import { HttpClient } from "effect/http"
import * as Path from "effect/Path"
import { ChildProcess } from "effect/process"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { during } from "./BenchError.ts"
import * as Server from "./Server.ts"
import { Setup } from "./Setup.ts"

/** A request as `bench/recording-server.mjs` saw it, which says what each key is. */
export const Request = Schema.Struct({
  rid: Schema.String,
  sha256: Schema.String,
  bytes: Schema.Int,
  asked: Schema.Int,
  received: Schema.Finite,
  sent: Schema.Int
})

export interface Request extends Schema.Schema.Type<typeof Request> {}

const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(Request))

/** Starts the recording server in a process of its own, which ends with the scope. */
export const startServer = Effect.fn("Recorded.startServer")(
  function* () {
    const { root } = yield* Setup
    const path = yield* Path.Path
    const port = yield* Server.freePort
    const { pid } = yield* ChildProcess.make(process.execPath, [path.join(root, "bench", "recording-server.mjs")], {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "inherit",
      env: { PORT: String(port) }
    })
    const server: Server.Process = { origin: `http://127.0.0.1:${port}`, pid }
    yield* Effect.retry(HttpClient.get(server.origin), { schedule: Schedule.spaced("50 millis"), times: 200 })
    return server
  },
  Effect.catchTags({
    PlatformError: (error) => Effect.fail(during("Starting the recording server")(error)),
    HttpClientError: (error) => Effect.fail(during("Waiting for the recording server")(error))
  })
)

/** What it has seen since it was asked last. */
export const take = Effect.fn("Recorded.take")(
  function* ({ origin }: Server.Process) {
    const response = yield* HttpClient.get(`${origin}/_record`)
    const lines = (yield* response.text).split("\n").filter((line) => line !== "")
    return yield* Effect.forEach(lines, (line) => decode(line))
  },
  Effect.catchTags({
    HttpClientError: (error) => Effect.fail(during("Reading what the recording server saw")(error)),
    SchemaError: (error) => Effect.fail(during("Reading what the recording server saw")(error))
  })
)
