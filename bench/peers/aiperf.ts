import { availableParallelism } from "node:os"
import * as Effect from "effect/Effect"
import * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import * as Decode from "./decode.ts"
import { flags, type Peer } from "./Peer.ts"

const Distribution = Schema.Struct({ p50: Schema.Finite, p99: Schema.Finite })

const Export = Schema.Struct({
  request_count: Schema.Struct({ avg: Schema.Finite }),
  time_to_first_token: Distribution,
  inter_chunk_latency: Distribution
})

/**
 * AIPerf by its command line. Its tokenizer is needed for prompts only: tokens are counted by what the server says. A worker for
 * each core: on few cores it would take fewer by itself, and they would be full.
 */
export const aiperf: Peer = {
  name: "aiperf",
  language: "Python",
  version: "0.13.0",
  program: "bin/aiperf",
  help: ["profile", "--help"],
  command: ({ requests, inputTokens, outputTokens, load }, { origin, model, tokenizer, folder }) => ({
    args: [
      "profile",
      ...flags({
        model,
        url: origin,
        "endpoint-type": "chat",
        streaming: true,
        tokenizer,
        "use-server-token-count": true,
        isl: inputTokens,
        "isl-stddev": 0,
        osl: outputTokens,
        "osl-stddev": 0,
        "request-count": requests,
        ...(load.kind === "closed"
          ? { concurrency: load.concurrency }
          : { "request-rate": load.perSecond, "arrival-pattern": "poisson" }),
        "random-seed": 1,
        "workers-max": availableParallelism(),
        ui: "none",
        "no-gpu-telemetry": true,
        "no-server-metrics": true,
        "no-auto-plot": true,
        "artifact-dir": folder
      })
    ],
    env: {}
  }),
  claims: Effect.fnUntraced(function* (_stdout, { folder }) {
    const path = yield* Path.Path
    const said = yield* Decode.file(Export, path.join(folder, "profile_export_aiperf.json"))
    return {
      completed: said.request_count.avg,
      ttftMs: said.time_to_first_token,
      gapMs: { ...said.inter_chunk_latency, of: "chunks" }
    }
  })
}
