import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Decode from "./decode.ts"
import { flags, type Peer } from "./Peer.ts"

const Result = Schema.Struct({ statusCodeDistribution: Schema.Record(Schema.String, Schema.Finite) })

/**
 * A load tester for any HTTP server, which knows nothing of tokens: what it costs to read such answers without looking into
 * them. Its rates are constant only.
 */
export const oha: Peer = {
  name: "oha",
  language: "Rust",
  version: "1.16.0",
  program: "bin/oha",
  help: ["--help"],
  command: ({ requests, inputTokens, outputTokens, load }, { origin, model }) =>
    load.kind === "open"
      ? null
      : {
          args: [
            ...flags({
              method: "POST",
              "no-tui": true,
              "output-format": "json",
              redirect: 0
            }),
            "-n",
            String(requests),
            "-c",
            String(load.concurrency),
            "-T",
            "application/json",
            "-d",
            JSON.stringify({
              model,
              messages: [{ role: "user", content: "word ".repeat(inputTokens) }],
              stream: true,
              stream_options: { include_usage: true },
              max_tokens: outputTokens
            }),
            `${origin}/v1/chat/completions`
          ],
          env: {}
        },
  claims: Effect.fnUntraced(function* (stdout) {
    const { statusCodeDistribution } = yield* Decode.text(Result, stdout)
    return { completed: statusCodeDistribution["200"] ?? 0, ttftMs: null, gapMs: null }
  })
}
