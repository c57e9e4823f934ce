import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import { ChildProcess } from "effect/process"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Agents from "./Agents.ts"
import { BenchError, during } from "./BenchError.ts"
import { Setup } from "./Setup.ts"
import * as Sides from "./Sides.ts"
import { type Span, type Watch } from "./Watch.ts"

/** Sums of a schedule have no prefix. */
const Summary = Schema.Struct({
  start_time: Schema.Finite,
  wall_time_s: Schema.optional(Schema.Finite),
  results_wall_time_s: Schema.optional(Schema.Finite),
  verdict: Schema.optional(Schema.Union([Schema.String, Schema.Struct({ verdict: Schema.String })])),
  start_spread_s: Schema.optional(Schema.NullOr(Schema.Finite)),
  agents: Schema.optional(
    Schema.Array(
      Schema.Struct({
        missing_rows: Schema.Int,
        clock_offset_s: Schema.Finite,
        clock_round_trip_s: Schema.Finite,
        clock_drift_s: Schema.Finite
      })
    )
  )
})

const decodeSummary = Schema.decodeUnknownEffect(Schema.fromJsonString(Summary))

/** How a run is started: flags of `load-test`, and what the environment must hold besides the credential of the API. */
export interface Command {
  readonly name: string
  readonly flags: ReadonlyArray<string>
  readonly env?: { readonly [name: string]: string }
}

/**
 * Runs `llmperf load-test` as a user would, and reads its results.
 *
 * - `span`: from its start until the last request had ended; `savedSeconds`: from then until the process ended
 * - `rowBytes`: of `records.ndjson` and `requests_sent.log`
 */
export const run = Effect.fn("Coordinator.run")(
  function* (command: Command, watch: Watch) {
    const { root, llmperf } = yield* Setup
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const folder = yield* fs.makeTempDirectoryScoped({ prefix: "llmperf-bench-" })
    const child = yield* ChildProcess.make(
      process.execPath,
      [llmperf.script, "load-test", "--json", "--llm-api", "openai", "--results-dir", folder, ...command.flags],
      { cwd: root, stdin: "ignore", env: { ...Agents.env, ...command.env } }
    )
    watch.add(child.pid)
    const text = (stream: typeof child.stdout) => Stream.mkString(Stream.decodeText(stream))
    const [stdout, stderr, exitCode] = yield* Effect.all([text(child.stdout), text(child.stderr), child.exitCode], {
      concurrency: "unbounded"
    }).pipe(
      Effect.timeoutOrElse({
        duration: "10 minutes",
        orElse: () => Effect.fail(new BenchError({ description: `${command.name} did not end within 10 minutes` }))
      })
    )
    const endedAt = (yield* Clock.currentTimeMillis) / 1e3
    if (exitCode !== 0) {
      return yield* new BenchError({
        description: `${command.name} ended with ${exitCode}: ${stderr.slice(-2_000)}`
      })
    }
    const summary = yield* decodeSummary(stdout)
    // A schedule's files lie in a folder of their own
    const [first = ""] = yield* fs.readDirectory(folder)
    const results = (yield* fs.exists(path.join(folder, "records.ndjson"))) ? folder : path.join(folder, first)
    const sizeOf = Effect.fnUntraced(function* (name: string) {
      const file = path.join(results, name)
      return (yield* fs.exists(file)) ? Number((yield* fs.stat(file)).size) : 0
    })
    const wallSeconds = summary.wall_time_s ?? summary.results_wall_time_s ?? 0
    const span: Span = { from: summary.start_time, to: summary.start_time + wallSeconds }
    return {
      pid: child.pid,
      summary,
      verdict: typeof summary.verdict === "object" ? summary.verdict.verdict : (summary.verdict ?? "none"),
      span,
      savedSeconds: endedAt - span.to,
      records: yield* Sides.readRecords(path.join(results, "records.ndjson")),
      rowBytes: { records: yield* sizeOf("records.ndjson"), sent: yield* sizeOf("requests_sent.log") },
      folder: results
    }
  },
  Effect.catchTags({
    PlatformError: (error) => Effect.fail(during("Running a load test")(error)),
    SchemaError: (error) => Effect.fail(during("Reading the summary of a load test")(error))
  })
)

export type Run = Effect.Success<ReturnType<typeof run>>

/** The flags that say who sends: agents that are named. */
export const byAgents = ({ agents, tokenFile }: Agents.Agents): ReadonlyArray<string> => [
  "--agents",
  agents.map(({ address }) => address).join(","),
  "--token-file",
  tokenFile
]

/** The same for agents that are found. */
export const byCluster = ({ agents, tokenFile }: Agents.Agents, { url }: Agents.Cluster): ReadonlyArray<string> => [
  "--cluster",
  url,
  "--expect-agents",
  String(agents.length),
  "--token-file",
  tokenFile
]
