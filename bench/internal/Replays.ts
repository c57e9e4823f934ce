import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import { BenchError, during } from "./BenchError.ts"
import * as Measured from "./Measured.ts"
import { type ProcessReport } from "./ProcessReport.ts"
import { modelName, type Pace } from "./Server.ts"
import { Setup } from "./Setup.ts"

/** Rows at a constant rate, all of the same length in tokens. */
export interface Load {
  readonly rows: number
  readonly perSecond: number
  readonly inputTokens: number
  readonly outputTokens: number
  readonly pace: Pace
}

/**
 * What a side did with a row. Seconds count from the start of its run: due, written to the socket, first token received.
 * `answered` when, as far as the client knows, the whole answer came.
 */
export interface Sent {
  readonly due: number
  readonly written: number | null
  readonly firstToken: number | null
  readonly answered: boolean
}

/** A replay by one side: its rows, and the start of its run in epoch seconds. */
export interface Replay {
  readonly startEpochSeconds: number
  readonly rows: ReadonlyArray<Sent>
  readonly report: ProcessReport
}

const dueOf = ({ perSecond }: Load, row: number): number => row / perSecond

/** The load as a schedule file, its rows numbered from 1. The file goes with the scope. */
export const writeSchedule = Effect.fn("Replays.writeSchedule")(
  function* (load: Load) {
    const fs = yield* FileSystem.FileSystem
    const file = yield* fs.makeTempFileScoped({ prefix: "llmperf-bench-", suffix: ".csv" })
    const rows = Array.from(
      { length: load.rows },
      (_, row) => `${dueOf(load, row).toFixed(6)},${load.inputTokens},${load.outputTokens}\n`
    )
    yield* fs.writeFileString(file, `scheduled_offset_s,input_tokens,output_tokens\n${rows.join("")}`)
    return file
  },
  Effect.mapError(during("Writing a schedule"))
)

const expectedOf = (load: Load, origin: string): Measured.Expected => ({
  origin,
  requests: load.rows,
  sampleEvery: load.rows
})

const decodeSummary = Schema.decodeUnknownEffect(Schema.fromJsonString(Schema.Struct({ start_time: Schema.Finite })))

const Seconds = Schema.NullOr(Schema.Finite)

const LogLine = Schema.Struct({
  request_id: Schema.Int,
  scheduled_offset_s: Schema.Finite,
  dispatch_offset_s: Seconds,
  dispatch_lag_s: Seconds,
  scheduled_ttft_s: Seconds,
  error_code: Schema.NullOr(Schema.Union([Schema.Finite, Schema.String]))
})

const decodeLine = Schema.decodeUnknownEffect(Schema.fromJsonString(LogLine))

/** The log of a run, looked up by row. Its due times must be those of the schedule. */
const readLog = Effect.fnUntraced(function* (file: string, load: Load) {
  const fs = yield* FileSystem.FileSystem
  const lines = (yield* fs.readFileString(file)).split("\n").filter((line) => line !== "")
  const log = yield* Effect.forEach(lines, (line) => decodeLine(line))
  const byId = new Map(log.map((entry) => [entry.request_id, entry]))
  const rows: Array<Sent> = []
  for (let row = 0; row < load.rows; row++) {
    const due = dueOf(load, row)
    const entry = byId.get(row + 1)
    if (entry === undefined) {
      rows.push({ due, written: null, firstToken: null, answered: false })
      continue
    }
    if (Math.abs(entry.scheduled_offset_s - due) > 1e-6) {
      return yield* new BenchError({
        description: `Row ${row + 1} is due at ${due} s; the log says ${entry.scheduled_offset_s} s`
      })
    }
    rows.push({
      due,
      written: entry.dispatch_lag_s === null ? null : due + entry.dispatch_lag_s,
      firstToken: entry.scheduled_ttft_s === null ? null : due + entry.scheduled_ttft_s,
      answered: entry.error_code === null
    })
  }
  return rows
})

/** Runs `llmperf load-test --schedule-file` as a user would, and reads `requests_sent.log`. */
export const ours = Effect.fn("Replays.ours")(
  function* (load: Load, schedule: string, origin: string) {
    const { llmperf } = yield* Setup
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const folder = yield* fs.makeTempDirectoryScoped({ prefix: "llmperf-bench-" })
    const flags = {
      "llm-api": "openai",
      "api-base": origin,
      model: modelName(load.pace),
      "schedule-file": schedule,
      "results-dir": folder
    }
    const { report, stdout } = yield* Measured.observe(
      {
        name: "llmperf",
        args: [
          llmperf.script,
          "load-test",
          "--json",
          ...Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value])
        ],
        env: { OPENAI_API_KEY: "none" }
      },
      expectedOf(load, origin)
    )
    const { start_time } = yield* decodeSummary(stdout)
    const [subfolder] = yield* fs.readDirectory(folder)
    const rows = yield* readLog(path.join(folder, subfolder ?? "", "requests_sent.log"), load)
    const replay: Replay = { startEpochSeconds: start_time, rows, report }
    return replay
  },
  Effect.scoped,
  Effect.catchTags({
    PlatformError: (error) => Effect.fail(during("Reading the results of a replay")(error)),
    SchemaError: (error) => Effect.fail(during("Reading the results of a replay")(error))
  })
)

const HandwrittenOutput = Schema.Struct({
  start_epoch_s: Schema.Finite,
  sent_offset_s: Schema.Array(Seconds),
  first_token_offset_s: Schema.Array(Seconds),
  chunks: Schema.Array(Schema.Int)
})

const decodeHandwritten = Schema.decodeUnknownEffect(Schema.fromJsonString(HandwrittenOutput))

/** The script of the other side, from the root of the repository. */
export const handwrittenScript = "bench/handwritten-replay.mjs"

/** Runs the hand-written replay of the same file. Its prompts are words of one token. */
export const handwritten = Effect.fn("Replays.handwritten")(
  function* (load: Load, schedule: string, origin: string) {
    const { root } = yield* Setup
    const path = yield* Path.Path
    const { report, stdout } = yield* Measured.observe(
      {
        name: "the hand-written replay",
        args: [path.join(root, handwrittenScript)],
        env: { BASE: origin, MODEL: modelName(load.pace), SCHEDULE: schedule }
      },
      expectedOf(load, origin)
    )
    const output = yield* decodeHandwritten(stdout)
    const chunks = Math.ceil(load.outputTokens / (load.pace.perChunk ?? 1))
    const rows = Array.from({ length: load.rows }, (_, row): Sent => ({
      due: dueOf(load, row),
      written: output.sent_offset_s[row] ?? null,
      firstToken: output.first_token_offset_s[row] ?? null,
      answered: output.chunks[row] === chunks
    }))
    const replay: Replay = { startEpochSeconds: output.start_epoch_s, rows, report }
    return replay
  },
  Effect.catchTag("SchemaError", (error) => Effect.fail(during("Reading what the hand-written replay printed")(error)))
)
