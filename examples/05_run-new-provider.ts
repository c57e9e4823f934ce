/**
 * @title Run a new provider
 *
 * Sends three requests with the provider of `examples/04_new-provider.ts` to a simulated server, of which one is refused. Run it
 * with `node examples/05_run-new-provider.ts`.
 */
import { Console, Effect, Layer, Stream } from "effect"
import * as RequestsLauncher from "../src/engine/RequestsLauncher.ts"
import * as Transport from "../src/provider/Transport.ts"
import * as Fault from "../src/simulator/Fault.ts"
import * as HttpFront from "../src/simulator/HttpFront.ts"
import * as ModelServer from "../src/simulator/ModelServer.ts"
import * as TokenCounter from "../src/workload/TokenCounter.ts"
import * as Tokenizer from "../src/workload/Tokenizer.ts"
import * as NewProvider from "./04_new-provider.ts"

// A server that refuses every third request.
const refusal = Fault.Fault.make({ kind: "429", number: 0, share: { _tag: "Every", count: 3 } })
const server = HttpFront.layer(HttpFront.HttpFrontOptions.make({})).pipe(
  Layer.provide(ModelServer.layer(ModelServer.ModelServerOptions.make({ faults: [refusal] })))
)

const provider = Layer.unwrap(
  Effect.map(HttpFront.HttpFront, ({ url }) => NewProvider.layer({ model: "demo", apiBase: url }))
).pipe(Layer.provide([server, Transport.layer()]))

const launcherLayer = RequestsLauncher.layer({ concurrency: 1 }).pipe(
  Layer.provide([provider, Layer.provide(TokenCounter.layerInline, Tokenizer.layerLlama)])
)

const program = Effect.gen(function* () {
  const launcher = yield* RequestsLauncher.RequestsLauncher
  for (const outputTokens of [3, 6, 9]) yield* launcher.launch({ prompt: "Once upon a time", outputTokens })
  yield* launcher.end
  yield* Stream.runForEach(launcher.results, ({ record }) =>
    Console.log(`${record.request_id}: ${record.number_chunks} chunks, ${record.error_code ?? "ok"}`)
  )
})

await Effect.runPromise(Effect.provide(program, launcherLayer))
