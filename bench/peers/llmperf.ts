import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Decode from "./decode.ts"
import { flags, type Peer } from "./Peer.ts"

const Summary = Schema.Struct({
  results_num_completed_requests: Schema.Int,
  results_ttft_s_quantiles_p50: Schema.Finite,
  results_ttft_s_quantiles_p99: Schema.Finite,
  results_inter_chunk_latency_s_quantiles_p50: Schema.Finite,
  results_inter_chunk_latency_s_quantiles_p99: Schema.Finite
})

/** Ours, as a user would run it: tokens counted, every file written. */
export const llmperf = (script: string, version: string): Peer => ({
  name: "llmperf",
  language: "TypeScript",
  version,
  program: process.execPath,
  help: [script, "load-test", "--help"],
  command: ({ requests, inputTokens, outputTokens, load }, { origin, model, folder }) => ({
    args: [
      script,
      "load-test",
      ...flags({
        json: true,
        "api-base": origin,
        model,
        "mean-input-tokens": inputTokens,
        "stddev-input-tokens": 0,
        "mean-output-tokens": outputTokens,
        "stddev-output-tokens": 0,
        "max-num-completed-requests": requests,
        ...(load.kind === "closed"
          ? { "num-concurrent-requests": load.concurrency, timeout: "1h" }
          : { "request-rate": load.perSecond, arrival: "poisson" }),
        "results-dir": folder
      })
    ],
    env: { OPENAI_API_KEY: "none" }
  }),
  claims: Effect.fnUntraced(function* (stdout) {
    const said = yield* Decode.text(Summary, stdout)
    return {
      completed: said.results_num_completed_requests,
      ttftMs: { p50: said.results_ttft_s_quantiles_p50 * 1e3, p99: said.results_ttft_s_quantiles_p99 * 1e3 },
      gapMs: {
        p50: said.results_inter_chunk_latency_s_quantiles_p50 * 1e3,
        p99: said.results_inter_chunk_latency_s_quantiles_p99 * 1e3,
        of: "chunks"
      }
    }
  })
})
