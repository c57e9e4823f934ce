import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import { during } from "../internal/BenchError.ts"
import { type PartResult } from "../internal/Part.ts"
import * as Row from "../internal/Row.ts"
import * as Server from "../internal/Server.ts"
import { Setup } from "../internal/Setup.ts"
import * as Sides from "../internal/Sides.ts"
import { slope } from "../internal/Statistics.ts"

/** From so many requests on, the memory of a run is what it keeps, not that of a heap that is still growing. */
const judgedFrom = 200_000
const samples = 20

/** A run of any length may take so much, in MB. */
const mostMegabytes = 1_000

/**
 * What may be kept of a request that has ended, in bytes: the fingerprint of its prompt, so that none is sent twice. Its numbers are
 * in histograms from the middle of the shortest run that is judged, and its record is on the disk.
 */
const keptBytes = 150

/** What a long run costs in memory: at most, and for every request that has ended. */
export const run = Effect.gen(function* () {
  const { memoryRequests: requests } = yield* Setup
  const fs = yield* FileSystem.FileSystem
  const load: Sides.Load = {
    requests,
    concurrency: 100,
    inputTokens: { mean: 64, stddev: 0 },
    outputTokens: 100,
    pace: { ttftMs: 0, itlMs: 0 },
    sampleEvery: Math.max(1, Math.floor(requests / samples))
  }
  const origin = yield* Server.start({ truth: false })
  yield* Console.error(`memory: ${requests} requests`)
  const { measured, recordsFile } = yield* Sides.ours(load, origin)
  const { size } = yield* fs.stat(recordsFile)
  const recordBytes = Math.round(Number(size) / requests)
  const late = measured.samples.filter(({ answers }) => answers > requests / 2)
  const growth = slope(late.map(({ answers, residentBytes }) => [answers, residentBytes]))
  const limit = (bar: Row.Limit): Row.Limit => (requests >= judgedFrom ? bar : {})

  const result: PartResult = {
    name: "memory",
    settings: `${requests} requests, ${load.concurrency} at a time, ${load.inputTokens.mean} tokens in, ${load.outputTokens} out, no delay; one record is ${recordBytes} bytes of JSON`,
    rows: [
      Row.absolute("peak resident memory", "MB", [measured.peakResidentBytes / 1e6], limit({ atMost: mostMegabytes })),
      Row.absolute("growth per finished request, second half", "B", [growth], limit({ atMost: keptBytes }))
    ],
    runs: [{ side: "ours", measured }]
  }
  return result
}).pipe(
  Effect.scoped,
  Effect.catchTag("PlatformError", (error) => Effect.fail(during("Looking at the records")(error)))
)
