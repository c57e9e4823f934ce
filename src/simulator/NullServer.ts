/**
 * A server that does nothing but answer, in a process of its own, and writes down when: what a client adds to its
 * measurements is what it says more than this server.
 *
 * It speaks OpenAI's streaming chat. An answer has the asked number of tokens, each written to its connection on its own; at a
 * pace of 0 it sends as much at a time as pays.
 *
 * Its stamps are of the monotonic clock of the machine (`process.hrtime`), which is the same in every process: they can be
 * subtracted from those of a client whose `Clock` service reads that clock, as it does by default.
 *
 * @since 0.2.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as ChildProcess from "effect/process/ChildProcess"
import { type ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import { fileURLToPath } from "node:url"
import { type ServerExchange } from "../domain/CalibrationResults.ts"
import * as NullStamps from "./internal/nullStamps.ts"

/**
 * How fast it answers, in seconds: from the arrival of a request to its first token, and from one token to the next. 0 is
 * as fast as it can.
 *
 * @category models
 * @since 0.2.0
 */
export interface Pace {
  readonly ttftSeconds: number
  readonly itlSeconds: number
}

/**
 * What it did since it was last asked.
 *
 * - `exchanges`: by the `x-request-id` of the request
 * - `cpuSeconds`: processor time it took; `busyShare`: how much of the time its event loop was at work, from 0 to 1
 *
 * @category models
 * @since 0.2.0
 */
export interface Stamps {
  readonly exchanges: ReadonlyMap<string, ServerExchange>
  readonly cpuSeconds: number
  readonly busyShare: number
}

/**
 * - `pid`: of its process
 * - `apiBase(pace)`: the address under which it answers so
 * - `takeStamps`: what it did, which it then forgets. Ask when no request is in flight
 *
 * @category models
 * @since 0.2.0
 */
export interface NullServer {
  readonly pid: number
  readonly apiBase: (pace: Pace) => string
  readonly takeStamps: Effect.Effect<Stamps, NullServerError>
}

/**
 * The process did not start, or does not answer.
 *
 * @category errors
 * @since 0.2.0
 */
export class NullServerError extends Schema.TaggedError<NullServerError>(
  "llmperf/simulator/NullServer/NullServerError"
)("NullServerError", { description: Schema.String }) {
  override get message(): string {
    return `The null server failed: ${this.description}`
  }
}

const failed = (description: string): NullServerError => new NullServerError({ description })

/** The script lies beside this module and ends like it: `.ts` in development, `.js` when published. */
const script = (): string => {
  const extension = import.meta.url.slice(import.meta.url.lastIndexOf("."))
  return fileURLToPath(new URL(`./NullServerWorker${extension}`, import.meta.url))
}

const Port = Schema.decodeUnknownEffect(Schema.FiniteFromString)

const nanos = (seconds: number): number => Math.round(seconds * 1e9)

const download = (url: string): Effect.Effect<ArrayBuffer, NullServerError> =>
  HttpClient.get(url).pipe(
    Effect.flatMap((response) => response.arrayBuffer),
    Effect.mapError((error) => failed(`its stamps could not be fetched: ${error.message}`)),
    Effect.provide(FetchHttpClient.layer)
  )

/**
 * Starts the server on a free port of 127.0.0.1. It ends with the scope, and when this process does, however that
 * ends. Fails with `NullServerError` when it does not start.
 *
 * @category constructors
 * @since 0.2.0
 */
export const start = Effect.fn("NullServer.start")(function* (): Effect.fn.Return<
  NullServer,
  NullServerError,
  ChildProcessSpawner | Scope.Scope
> {
  const child = yield* ChildProcess.make(process.execPath, [script()], {
    // Held open: that it ends is how the server learns that nobody is left who needs it.
    stdin: { stream: "pipe", endOnDone: false },
    stdout: "pipe",
    stderr: "inherit",
    forceKillAfter: Duration.seconds(2)
  }).pipe(Effect.mapError((error) => failed(error.message)))
  const line = yield* child.stdout.pipe(
    Stream.decodeText,
    Stream.splitLines,
    Stream.runHead,
    Effect.timeoutOption(Duration.seconds(20)),
    Effect.map(Option.flatten),
    Effect.mapError((error) => failed(error.message))
  )
  const port = yield* Port(Option.getOrElse(line, () => "")).pipe(
    Effect.mapError(() => failed("it did not say where it listens"))
  )
  const url = `http://127.0.0.1:${port}`
  return {
    pid: child.pid,
    apiBase: ({ itlSeconds, ttftSeconds }) => `${url}/pace/${nanos(ttftSeconds)}/${nanos(itlSeconds)}/v1`,
    takeStamps: Effect.flatMap(download(`${url}/stamps`), (bytes) =>
      Effect.mapError(NullStamps.decode(bytes), (error) => failed(error.message))
    )
  }
})
