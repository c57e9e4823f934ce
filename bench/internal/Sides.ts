import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Ndjson from "../../src/output/Ndjson.ts"
import { BenchError, during } from "./BenchError.ts"
import * as Measured from "./Measured.ts"
import * as ProcessTree from "./ProcessTree.ts"
import { modelName, type Pace } from "./Server.ts"
import { Setup } from "./Setup.ts"

/** What a side is asked to do. Inputs and outputs are tokens; `sampleEvery` counts answers; `flags` are for llmperf only. */
export interface Load {
  readonly requests: number
  readonly concurrency: number
  readonly inputTokens: { readonly mean: number; readonly stddev: number }
  readonly outputTokens: number
  readonly pace: Pace
  readonly sampleEvery?: number
  readonly flags?: ReadonlyArray<string>
}

const expectedOf = (load: Load, origin: string): Measured.Expected => ({
  origin,
  requests: load.requests,
  sampleEvery: load.sampleEvery ?? load.requests
})

const decodeSummary = Schema.decodeUnknownEffect(
  Schema.fromJsonString(Schema.Struct({ results_num_completed_requests: Schema.Int, run_id: Schema.String }))
)

/** The command line of a load test: tokens counted, everything written to a folder. */
export const loadTest = (load: Load, folder: string): ReadonlyArray<string> => {
  const flags = {
    model: modelName(load.pace),
    "num-concurrent-requests": load.concurrency,
    "max-num-completed-requests": load.requests,
    "mean-input-tokens": load.inputTokens.mean,
    "stddev-input-tokens": load.inputTokens.stddev,
    "mean-output-tokens": load.outputTokens,
    "stddev-output-tokens": 0,
    timeout: "1h",
    "results-dir": folder
  }
  return [
    "load-test",
    "--json",
    ...Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)]),
    ...(load.flags ?? [])
  ]
}

const envOf = (origin: string) => ({ OPENAI_API_BASE: origin, OPENAI_API_KEY: "none" })

/**
 * Runs `llmperf load-test` as a user would: tokens counted, records and results written, progress shown. `recordsFile` lies
 * in a folder that goes with the scope.
 */
export const ours = Effect.fn("Sides.ours")(
  function* (load: Load, origin: string) {
    const { llmperf } = yield* Setup
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const folder = yield* fs.makeTempDirectoryScoped({ prefix: "llmperf-bench-" })
    const { measured, stdout } = yield* Measured.run(
      {
        name: "llmperf",
        args: [llmperf.script, ...loadTest(load, folder)],
        env: envOf(origin)
      },
      expectedOf(load, origin)
    )
    const summary = yield* decodeSummary(stdout)
    if (summary.results_num_completed_requests !== load.requests) {
      return yield* new BenchError({
        description: `llmperf completed ${summary.results_num_completed_requests} of ${load.requests} requests`
      })
    }
    return { measured, recordsFile: path.join(folder, "records.ndjson") }
  },
  Effect.catchTags({
    PlatformError: (error) => Effect.fail(during("Making a folder for results")(error)),
    SchemaError: (error) => Effect.fail(during("Reading the summary of llmperf")(error))
  })
)

const decodeThreaded = Schema.decodeUnknownEffect(
  Schema.fromJsonString(
    Schema.Struct({
      results_num_completed_requests: Schema.Int,
      results_inter_chunk_latency_s_quantiles_p50: Schema.Finite,
      verdict: Schema.optional(Schema.Union([Schema.String, Schema.Struct({ verdict: Schema.String })]))
    })
  )
)

/** As `ours`, with all threads and processes of the run looked at from outside, so that requests may be sent by any of them. */
export const oursFromOutside = Effect.fn("Sides.oursFromOutside")(
  function* (load: Load, origin: string) {
    const { root, llmperf } = yield* Setup
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const folder = yield* fs.makeTempDirectoryScoped({ prefix: "llmperf-bench-" })
    const ended = yield* ProcessTree.run(
      "llmperf",
      { file: process.execPath, args: [llmperf.script, ...loadTest(load, folder)], env: envOf(origin) },
      { cwd: root, limit: "10 minutes" }
    )
    if (ended.exitCode !== 0) {
      return yield* new BenchError({
        description: `llmperf ended with ${ended.exitCode}: ${ended.stderr.slice(-2_000)}`
      })
    }
    const summary = yield* decodeThreaded(ended.stdout)
    return { ended, summary, recordsFile: path.join(folder, "records.ndjson") }
  },
  Effect.catchTags({
    PlatformError: (error) => Effect.fail(during("Making a folder for results")(error)),
    SchemaError: (error) => Effect.fail(during("Reading the summary of llmperf")(error))
  })
)

/** The records of a run, in the order in which they were sent. */
export const readRecords = (file: string) =>
  Stream.runCollect(Ndjson.read(file)).pipe(
    Effect.map((records) => records.toSorted((a, b) => (a.sent_offset_s ?? 0) - (b.sent_offset_s ?? 0))),
    Effect.mapError(during("Reading the records"))
  )

/** What the yardstick prints. `ttfts_ms`, in the order of sending, is told by ours only. */
const HandwrittenOutput = Schema.Struct({
  tokens: Schema.Int,
  cpu_us_per_token: Schema.Finite,
  ttft_ms: Schema.Struct({ p50: Schema.Finite, p99: Schema.Finite }),
  ttfts_ms: Schema.optional(Schema.Array(Schema.Finite))
})

const decodeHandwritten = Schema.decodeUnknownEffect(Schema.fromJsonString(HandwrittenOutput))

/** Runs the hand-written client under the same load. Its prompts are words of one token, all of the mean length. */
export const handwritten = Effect.fn("Sides.handwritten")(
  function* (load: Load, origin: string) {
    const setup = yield* Setup
    const { measured, stdout } = yield* Measured.run(
      {
        name: "the hand-written client",
        args: [setup.handwritten],
        env: {
          BASE: origin,
          MODEL: modelName(load.pace),
          N: String(load.requests),
          C: String(load.concurrency),
          OSL: String(load.outputTokens),
          WORDS: String(load.inputTokens.mean)
        }
      },
      expectedOf(load, origin)
    )
    const output = yield* decodeHandwritten(stdout)
    if (output.tokens !== load.requests * load.outputTokens) {
      return yield* new BenchError({ description: `The hand-written client saw ${output.tokens} tokens` })
    }
    return { measured, output }
  },
  Effect.catchTag("SchemaError", (error) => Effect.fail(during("Reading what the hand-written client printed")(error)))
)
