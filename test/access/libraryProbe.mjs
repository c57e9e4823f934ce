/** Asks once with the built library, as `llmperf probe` does with the program: `libraryProbe.mjs LIBRARY API MODEL OPTIONS`. */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"

const [library, api, model, options] = process.argv.slice(2)
const { layerConfig } = await import(`${library}/provider/${api}.js`)
const { Provider } = await import(`${library}/provider/Provider.js`)
const Transport = await import(`${library}/provider/Transport.js`)
const { proxies } = Transport
const address = process.env.HTTPS_PROXY

const plan = {
  id: 1,
  dueSeconds: null,
  sampled: true,
  prompt: "Hello",
  inputTokens: 1,
  targetInputTokens: 1,
  outputTokens: 4
}

await Effect.runPromise(
  Effect.gen(function* () {
    const through = address === undefined ? undefined : yield* proxies({ all: Redacted.make(address) })
    const ask = Effect.gen(function* () {
      const provider = yield* Provider
      return yield* Stream.runCollect(provider.stream(plan))
    })
    yield* ask.pipe(
      Effect.provide(layerConfig({ model, ...JSON.parse(options) })),
      Effect.provide(Transport.layer({ proxies: through }))
    )
  })
)
