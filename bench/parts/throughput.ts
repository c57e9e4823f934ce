import * as Effect from "effect/Effect"
import { alternate, type PartResult } from "../internal/Part.ts"
import * as Row from "../internal/Row.ts"
import * as Server from "../internal/Server.ts"
import * as Sides from "../internal/Sides.ts"

const load: Sides.Load = {
  requests: 12_000,
  concurrency: 50,
  inputTokens: { mean: 550, stddev: 150 },
  outputTokens: 128,
  pace: { ttftMs: 0, itlMs: 0 }
}
const tokens = load.requests * load.outputTokens

/** How many tokens a second a client can take from a server that sends as fast as it can. */
export const run = Effect.gen(function* () {
  const origin = yield* Server.start({ truth: false })
  const runs = yield* alternate("throughput", {
    ours: Effect.scoped(Sides.ours(load, origin)),
    other: Sides.handwritten(load, origin)
  })
  const result: PartResult = {
    name: "throughput",
    settings: `${load.requests} requests, ${load.concurrency} at a time, ${load.outputTokens} tokens each, no delay`,
    rows: [
      Row.ratio(
        "tokens per second",
        "tok/s",
        runs.ours.map(({ measured }) => tokens / measured.runWallSeconds),
        runs.other.map(({ measured }) => tokens / measured.runWallSeconds),
        { atLeast: 0.8 }
      ),
      Row.ratio(
        "CPU per token, first request to last answer",
        "µs",
        runs.ours.map(({ measured }) => (measured.runCpuSeconds * 1e6) / tokens),
        runs.other.map(({ measured }) => (measured.runCpuSeconds * 1e6) / tokens)
      )
    ],
    runs: [
      ...runs.ours.map(({ measured }) => ({ side: "ours", measured })),
      ...runs.other.map(({ measured }) => ({ side: "handwritten", measured }))
    ]
  }
  return result
}).pipe(Effect.scoped)
