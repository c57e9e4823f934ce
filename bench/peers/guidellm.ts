import * as Effect from "effect/Effect"
import * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import { BenchError } from "../internal/BenchError.ts"
import * as Decode from "./decode.ts"
import { flags, type Peer } from "./Peer.ts"

const Distribution = Schema.Struct({
  successful: Schema.Struct({ percentiles: Schema.Struct({ p50: Schema.Finite, p99: Schema.Finite }) })
})

const Report = Schema.Struct({
  benchmarks: Schema.Array(
    Schema.Struct({
      metrics: Schema.Struct({
        request_totals: Schema.Struct({ successful: Schema.Finite }),
        time_to_first_token_ms: Distribution,
        inter_token_latency_ms: Distribution
      })
    })
  )
})

/** GuideLLM by its command line, whose options are given as JSON. */
export const guidellm: Peer = {
  name: "guidellm",
  language: "Python",
  version: "0.8.1",
  program: "bin/guidellm",
  help: ["run", "--help"],
  command: ({ requests, inputTokens, outputTokens, load }, { origin, model, tokenizer, folder }) => ({
    args: [
      "run",
      ...flags({
        backend: JSON.stringify({ kind: "openai_http", target: origin, model }),
        profile: JSON.stringify(
          load.kind === "closed"
            ? { kind: "concurrent", streams: load.concurrency }
            : { kind: "poisson", rate: load.perSecond }
        ),
        constraint: JSON.stringify({ kind: "max_requests", count: requests }),
        data: JSON.stringify({ kind: "synthetic_text", prompt_tokens: inputTokens, output_tokens: outputTokens }),
        tokenizer: JSON.stringify({ kind: "huggingface_auto", model: tokenizer }),
        output: JSON.stringify({ kind: "json", path: `${folder}/report.json` }),
        "disable-console-interactive": true
      })
    ],
    env: { HF_HUB_OFFLINE: "1" }
  }),
  claims: Effect.fnUntraced(function* (_stdout, { folder }) {
    const path = yield* Path.Path
    const { benchmarks } = yield* Decode.file(Report, path.join(folder, "report.json"))
    const metrics = benchmarks[0]?.metrics
    if (metrics === undefined) return yield* new BenchError({ description: "guidellm wrote no benchmark" })
    return {
      completed: metrics.request_totals.successful,
      ttftMs: metrics.time_to_first_token_ms.successful.percentiles,
      gapMs: { ...metrics.inter_token_latency_ms.successful.percentiles, of: "requests" }
    }
  })
}
