import { createServer, type Socket } from "node:net"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { ChildProcess, ChildProcessSpawner } from "effect/process"
import { BenchError, during } from "../internal/BenchError.ts"
import { alternate, type PartResult } from "../internal/Part.ts"
import * as Row from "../internal/Row.ts"
import { Setup } from "../internal/Setup.ts"

const prompts = 100

const secondsSince = (start: bigint) => Effect.map(Clock.monotonicTimeNanos, (now) => Number(now - start) / 1e9)

/** From starting a Node process to its end. */
const lifetime = Effect.fnUntraced(
  function* (args: ReadonlyArray<string>) {
    const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
    const start = yield* Clock.monotonicTimeNanos
    const exitCode = yield* spawner.exitCode(ChildProcess.make(process.execPath, args, { stdin: "ignore", env: {} }))
    const seconds = yield* secondsSince(start)
    return exitCode === 0
      ? seconds
      : yield* new BenchError({ description: `node ${args.join(" ")} ended with ${exitCode}` })
  },
  Effect.catchTag("PlatformError", (error) => Effect.fail(during("Starting a process")(error)))
)

/** Listens, and tells when the first bytes of a request come in. Never answers. */
const listener = Effect.gen(function* () {
  const arrived = yield* Deferred.make<void>()
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on("error", () => {})
    socket.once("data", () => Deferred.doneUnsafe(arrived, Effect.void))
  })
  const port = yield* Effect.acquireRelease(
    Effect.callback<number, BenchError>((resume) => {
      server.once("error", (error) => resume(Effect.fail(during("Listening")(error))))
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0))
      })
    }),
    () =>
      Effect.sync(() => {
        for (const socket of sockets) socket.destroy()
        server.close()
      })
  )
  return { origin: `http://127.0.0.1:${port}`, arrived: Deferred.await(arrived) }
})

/** From starting a process to the arrival of its first request. The process is killed then. */
const untilFirstRequest = Effect.fnUntraced(
  function* (program: (origin: string) => { args: ReadonlyArray<string>; env: Record<string, string> }) {
    const { root } = yield* Setup
    const { origin, arrived } = yield* listener
    const { args, env } = program(origin)
    const start = yield* Clock.monotonicTimeNanos
    const child = yield* ChildProcess.make(process.execPath, args, {
      cwd: root,
      stdin: "ignore",
      env,
      killSignal: "SIGKILL"
    })
    const ended = Effect.flatMap(child.exitCode, (code) =>
      Effect.fail(new BenchError({ description: `node ${args.join(" ")} ended with ${code} before it sent anything` }))
    )
    yield* Effect.raceFirst(arrived, ended)
    return yield* secondsSince(start)
  },
  Effect.scoped,
  Effect.catchTag("PlatformError", (error) => Effect.fail(during("Starting a process")(error)))
)

/** How long a user waits for the help, and for the first request. */
export const run = Effect.gen(function* () {
  const { llmperf, handwritten } = yield* Setup
  const help = yield* alternate("startup, help", {
    ours: lifetime([llmperf.script, "--help"]),
    other: lifetime(["-e", "0"])
  })
  const first = yield* alternate("startup, first request", {
    ours: untilFirstRequest((origin) => ({
      args: [llmperf.script, "load-test", "--model", "m", "--max-num-completed-requests", String(prompts)],
      env: { OPENAI_API_BASE: origin, OPENAI_API_KEY: "none" }
    })),
    other: untilFirstRequest((origin) => ({ args: [handwritten], env: { BASE: origin } }))
  })
  const result: PartResult = {
    name: "startup",
    settings: `${prompts} prompts of the default size, 10 at a time, clients warmed up as by default`,
    rows: [
      Row.absolute("`llmperf --help`", "s", help.ours, llmperf.state === "sources" ? {} : { atMost: 0.3 }),
      Row.absolute("`node -e 0`, for comparison", "s", help.other),
      Row.absolute("process start to first request at the server", "s", first.ours, { atMost: 1 }, first.other)
    ],
    runs: [{ help, first }]
  }
  return result
})
