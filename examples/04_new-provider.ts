/**
 * @title A new provider
 *
 * Text completions as older servers have them, over HTTP. `examples/05_run-new-provider.ts` runs it, and so does
 * `llmperf load-test --provider examples/04_new-provider.ts --api-base http://127.0.0.1:8089 --model demo`.
 */
import { Effect, Layer, Option, Schema } from "effect"
import * as LlmError from "../src/domain/LlmError.ts"
import type { RequestPlan } from "../src/domain/RequestPlan.ts"
import { Provider } from "../src/provider/Provider.ts"
import type { RequestOptions } from "../src/provider/RequestOptions.ts"
import { type Format, Transport } from "../src/provider/Transport.ts"
import * as SseDecoder from "../src/provider/wire/SseDecoder.ts"

const Choice = Schema.Struct({ text: Schema.String, finish_reason: Schema.NullOr(Schema.String) })
const Chunk = Schema.fromJsonString(Schema.Struct({ choices: Schema.Array(Choice) }))
const decode = Schema.decodeUnknownOption(Chunk)

/** How answers are read. Every answer has a decoder of its own, called in the socket's callback: `at` is when bytes came. */
const format: Format = {
  errorOf: () => undefined,
  makeDecoder: (out) => {
    let isComplete = false
    let isDone = false
    return SseDecoder.make({
      isComplete: () => isComplete,
      isDone: () => isDone,
      onEvent: (data, _event, at) => {
        isDone = data === "[DONE]"
        if (isDone) return undefined
        const chunk = decode(data)
        if (Option.isNone(chunk)) return new LlmError.Protocol({ description: `Not a completion: ${data}` })
        for (const { text, finish_reason } of chunk.value.choices) {
          out.content("text", text, at)
          if (finish_reason !== null) isComplete = true
        }
        return undefined
      }
    })
  }
}

/** What `--provider` loads: a layer, or a function that gets the options of the command line and gives one. */
export const layer = (options: RequestOptions & { readonly apiBase?: string | undefined }) =>
  Layer.effect(
    Provider,
    Effect.map(Transport, (transport) => {
      const { origin } = new URL(options.apiBase ?? "http://127.0.0.1:8089")
      const headers = ["content-type", "application/json", ...Object.entries(options.headers ?? {}).flat()]
      const body = ({ prompt, outputTokens }: RequestPlan) =>
        JSON.stringify({ model: options.model, prompt, max_tokens: outputTokens ?? 256, stream: true })
      return Provider.of({
        name: "completions",
        origin,
        stream: (plan) =>
          transport.stream(() => ({ origin, path: "/v1/completions", headers, body: body(plan) }), format)
      })
    })
  )
