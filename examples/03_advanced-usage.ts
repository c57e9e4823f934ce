/**
 * @title Launch requests and take their results
 *
 * Builds a prompt and its length, starts a client and a launcher, launches requests, and prints what comes back. Run it with
 * `node examples/03_advanced-usage.ts`.
 */
import { Console, Effect, Layer, Stream } from "effect"
import * as RequestsLauncher from "../src/engine/RequestsLauncher.ts"
import * as OpenAi from "../src/provider/OpenAi.ts"
import * as Transport from "../src/provider/Transport.ts"
import * as HttpFront from "../src/simulator/HttpFront.ts"
import * as Latency from "../src/simulator/Latency.ts"
import * as ModelServer from "../src/simulator/ModelServer.ts"
import * as TokenCounter from "../src/workload/TokenCounter.ts"
import * as Tokenizer from "../src/workload/Tokenizer.ts"

// A simulated server on a free port of 127.0.0.1: 50 ms to the first token, 5 ms to every other.
const server = HttpFront.layer(HttpFront.HttpFrontOptions.make({})).pipe(
  Layer.provide(
    ModelServer.layer(
      ModelServer.ModelServerOptions.make({ ttft: Latency.constant(0.05), itl: Latency.constant(0.005) })
    )
  )
)

// The client. For a real API: OpenAi.layerConfig({ model: "…" }), which reads OPENAI_API_BASE and OPENAI_API_KEY.
const client = Layer.unwrap(
  Effect.map(HttpFront.HttpFront, ({ url }) => OpenAi.layer({ apiBase: url, apiKey: null, model: "demo" }))
).pipe(Layer.provide([server, Transport.layer()]))

// At most two requests in flight.
const launcherLayer = RequestsLauncher.layer({ concurrency: 2 }).pipe(
  Layer.provide([client, TokenCounter.layerWorker()])
)

const program = Effect.gen(function* () {
  const tokenizer = yield* Tokenizer.Tokenizer
  const prompt = "hello_world"
  const inputTokens = tokenizer.count(prompt)

  const launcher = yield* RequestsLauncher.RequestsLauncher
  yield* launcher.launch({ prompt, inputTokens, outputTokens: 5 })
  const { record, text } = yield* launcher.next
  yield* Console.log(`${record.number_input_tokens} tokens in, ${record.number_output_tokens} out: ${text}`)

  // The third waits until one of the first two is done; results come in the order in which they finish.
  for (const outputTokens of [30, 10, 20]) yield* launcher.launch({ prompt, outputTokens })
  yield* launcher.end
  yield* Stream.runForEach(launcher.results, ({ record }) =>
    Console.log(`request ${record.request_id}: ${record.number_output_tokens} tokens, ${record.error_code ?? "ok"}`)
  )
})

await Effect.runPromise(Effect.provide(program, [launcherLayer, Tokenizer.layerLlama]))
