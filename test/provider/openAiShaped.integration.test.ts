import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { type Endpoint } from "../../src/provider/OpenAi.ts"
import * as AzureOpenAi from "../../src/provider/AzureOpenAi.ts"
import * as LiteLlm from "../../src/provider/LiteLlm.ts"
import { Provider } from "../../src/provider/Provider.ts"
import * as TogetherAi from "../../src/provider/TogetherAi.ts"
import * as Transport from "../../src/provider/Transport.ts"
import * as HttpFront from "../../src/simulator/HttpFront.ts"
import * as Latency from "../../src/simulator/Latency.ts"
import * as ModelServer from "../../src/simulator/ModelServer.ts"
import { collect, find, plan, tagsOf } from "./asking.ts"

/** The APIs of OpenAI's shape beside OpenAI's own, at the simulated server. */

const simulator = HttpFront.layer(HttpFront.HttpFrontOptions.make({})).pipe(
  Layer.provideMerge(
    ModelServer.layer(
      ModelServer.ModelServerOptions.make({ ttft: Latency.constant(0.002), itl: Latency.constant(0.001) })
    )
  )
)

interface Api {
  readonly name: string
  readonly layer: (model: string) => ReturnType<typeof TogetherAi.layerConfig>
  /** The variables: of the address and of the key. */
  readonly base: string
  readonly key: string
}

const azure = (endpoint: Endpoint) => (model: string) => AzureOpenAi.layerConfig({ model, endpoint })

const apis: ReadonlyArray<Api> = [
  { name: "azure", layer: azure("chat"), base: "AZURE_API_BASE", key: "AZURE_API_KEY" },
  { name: "azure, completions", layer: azure("completions"), base: "AZURE_API_BASE", key: "AZURE_API_KEY" },
  { name: "azure, responses", layer: azure("responses"), base: "AZURE_API_BASE", key: "AZURE_API_KEY" },
  {
    name: "together",
    layer: (model) => TogetherAi.layerConfig({ model }),
    base: "TOGETHERAI_API_BASE",
    key: "TOGETHERAI_API_KEY"
  },
  {
    name: "litellm, a prefix",
    layer: (model) => LiteLlm.layerConfig({ model: `groq/${model}` }),
    base: "GROQ_API_BASE",
    key: "GROQ_API_KEY"
  },
  {
    name: "litellm, the proxy",
    layer: (model) => LiteLlm.layerConfig({ model }),
    base: "LITELLM_API_BASE",
    key: "LITELLM_API_KEY"
  }
]

const askApi = (api: Api, settings = "", key = "secret") =>
  Effect.gen(function* () {
    const { url } = yield* HttpFront.HttpFront
    const environment = ConfigProvider.layer(ConfigProvider.fromEnvRecord({ [api.base]: url, [api.key]: key }))
    const layer = api
      .layer(`sim;n=8${settings}`)
      .pipe(Layer.provide(Transport.layer({ flushMs: 5 })), Layer.provide(environment))
    return yield* Effect.gen(function* () {
      return yield* collect((yield* Provider).stream(plan))
    }).pipe(Effect.provide(layer))
  }).pipe(Effect.provide(simulator))

describe.each(apis)("$name", (api) => {
  it.live("a good answer, with its usage", () =>
    Effect.gen(function* () {
      const asked = yield* askApi(api)
      assert.isUndefined(asked.error)
      assert.deepStrictEqual(tagsOf(asked), ["Sent", "ResponseStarted", "Content", "Finished", "Usage", "Ended"])
      assert.strictEqual(find(asked, "Usage")?.outputTokens, 8)
    })
  )

  it.live(
    "refusals, and what goes wrong in the stream",
    () =>
      Effect.gen(function* () {
        for (const [fault, tag] of [
          ["401", "HttpStatus"],
          ["404", "HttpStatus"],
          ["429", "RateLimited"],
          ["500", "HttpStatus"],
          ["503", "HttpStatus"],
          ["reset:3", "Truncated"],
          ["close:3", "Truncated"],
          ["cut:3", "Truncated"],
          ["error:3", "InStream"],
          ["garbage:3", "Protocol"]
        ] as const) {
          const asked = yield* askApi(api, `;fault=${fault}`)
          assert.strictEqual(asked.error?.reason._tag, tag, `under ${fault}: ${asked.error?.message}`)
        }
      }),
    20_000
  )

  it.live("a wrong key", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* askApi(api, "", "wrong")).error?.errorCode, 401)
    })
  )
})
