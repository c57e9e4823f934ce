import * as Effect from "effect/Effect"
import * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import * as Decode from "./decode.ts"
import { flags, type Peer } from "./Peer.ts"

const Result = Schema.Struct({
  completed: Schema.Finite,
  median_ttft_ms: Schema.Finite,
  p99_ttft_ms: Schema.Finite,
  median_itl_ms: Schema.Finite,
  p99_itl_ms: Schema.Finite
})

/** The load tester that vLLM brings along. It runs in one process. */
export const vllmBench: Peer = {
  name: "vllm bench",
  language: "Python",
  version: "0.33.0",
  program: "bin/vllm",
  help: ["bench", "serve", "--help"],
  command: ({ requests, inputTokens, outputTokens, load }, { origin, model, tokenizer, folder }) => ({
    args: [
      "bench",
      "serve",
      ...flags({
        backend: "openai-chat",
        "base-url": origin,
        endpoint: "/v1/chat/completions",
        model,
        tokenizer,
        "dataset-name": "random",
        "random-input-len": inputTokens,
        "random-output-len": outputTokens,
        "num-prompts": requests,
        ...(load.kind === "closed"
          ? { "request-rate": "inf", "max-concurrency": load.concurrency }
          : { "request-rate": load.perSecond }),
        "percentile-metrics": "ttft,itl",
        "metric-percentiles": "99",
        "disable-tqdm": true,
        "save-result": true,
        "result-dir": folder,
        "result-filename": "result.json"
      })
    ],
    env: { HF_HUB_OFFLINE: "1" }
  }),
  claims: Effect.fnUntraced(function* (_stdout, { folder }) {
    const path = yield* Path.Path
    const said = yield* Decode.file(Result, path.join(folder, "result.json"))
    return {
      completed: said.completed,
      ttftMs: { p50: said.median_ttft_ms, p99: said.p99_ttft_ms },
      gapMs: { p50: said.median_itl_ms, p99: said.p99_itl_ms, of: "chunks" }
    }
  })
}
