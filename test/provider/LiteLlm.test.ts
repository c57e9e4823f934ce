import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as LiteLlm from "../../src/provider/LiteLlm.ts"
import { failureOf, headersOf, requestOf, urlOf } from "./recording.ts"

const aws = { AWS_ACCESS_KEY_ID: "AKID", AWS_SECRET_ACCESS_KEY: "secret", AWS_REGION_NAME: "us-west-2" }
const google = { GCLOUD_ACCESS_TOKEN: "token", GCLOUD_PROJECT_ID: "p", GCLOUD_REGION: "us-central1" }

interface Row {
  readonly model: string
  readonly variables: { readonly [name: string]: string }
  readonly url: string | RegExp
  /** How the API knows us. */
  readonly header?: readonly [name: string, value: string]
  /** The model in the body, where it stands there. */
  readonly body?: string
}

const bearer = ["authorization", "Bearer secret"] as const

/** A model of each prefix, with the variables that its API needs. */
const rows: ReadonlyArray<Row> = [
  {
    model: "anthropic/claude-3-5-sonnet-latest",
    variables: { ANTHROPIC_API_KEY: "secret" },
    url: "https://api.anthropic.com/v1/messages",
    header: ["x-api-key", "secret"],
    body: "claude-3-5-sonnet-latest"
  },
  {
    model: "azure/gpt",
    variables: { AZURE_API_KEY: "secret", AZURE_API_BASE: "https://n.openai.azure.com", AZURE_API_VERSION: "v" },
    url: "https://n.openai.azure.com/openai/deployments/gpt/chat/completions?api-version=v",
    header: ["api-key", "secret"],
    body: "gpt"
  },
  {
    model: "bedrock/converse/anthropic.claude-v2",
    variables: aws,
    url: "https://bedrock-runtime.us-west-2.amazonaws.com/model/anthropic.claude-v2/converse-stream"
  },
  {
    model: "cerebras/llama3.1-8b",
    variables: { CEREBRAS_API_KEY: "secret" },
    url: "https://api.cerebras.ai/v1/chat/completions",
    header: bearer,
    body: "llama3.1-8b"
  },
  {
    model: "deepseek/deepseek-chat",
    variables: { DEEPSEEK_API_KEY: "secret" },
    url: "https://api.deepseek.com/v1/chat/completions",
    header: bearer,
    body: "deepseek-chat"
  },
  {
    model: "fireworks_ai/llama-v3p1-8b-instruct",
    variables: { FIREWORKS_AI_API_KEY: "secret" },
    url: "https://api.fireworks.ai/inference/v1/chat/completions",
    header: bearer,
    body: "accounts/fireworks/models/llama-v3p1-8b-instruct"
  },
  {
    model: "fireworks_ai/accounts/me/models/mine",
    variables: { FIREWORKS_API_KEY: "secret" },
    url: "https://api.fireworks.ai/inference/v1/chat/completions",
    header: bearer,
    body: "accounts/me/models/mine"
  },
  {
    model: "gemini/gemini-2.0-flash",
    variables: { GEMINI_API_KEY: "secret" },
    url: /^https:\/\/generativelanguage\.googleapis\.com\/.*gemini-2\.0-flash:streamGenerateContent/
  },
  {
    model: "groq/llama3-8b-8192",
    variables: { GROQ_API_KEY: "secret" },
    url: "https://api.groq.com/openai/v1/chat/completions",
    header: bearer,
    body: "llama3-8b-8192"
  },
  {
    model: "hosted_vllm/org/model",
    variables: { HOSTED_VLLM_API_BASE: "http://host:8000" },
    url: "http://host:8000/v1/chat/completions",
    body: "org/model"
  },
  {
    model: "huggingface/meta-llama/Llama-2-7b-chat-hf",
    variables: { HUGGINGFACE_API_KEY: "secret", HUGGINGFACE_API_BASE: "https://endpoint" },
    url: /^https:\/\/endpoint\//,
    header: bearer
  },
  {
    model: "litellm_proxy/anything",
    variables: { LITELLM_PROXY_API_BASE: "http://proxy:4000", LITELLM_PROXY_API_KEY: "secret" },
    url: "http://proxy:4000/v1/chat/completions",
    header: bearer,
    body: "anything"
  },
  {
    model: "mistral/mistral-small-latest",
    variables: { MISTRAL_API_KEY: "secret" },
    url: "https://api.mistral.ai/v1/chat/completions",
    header: bearer,
    body: "mistral-small-latest"
  },
  {
    model: "nvidia_nim/meta/llama3-8b-instruct",
    variables: { NVIDIA_NIM_API_KEY: "secret" },
    url: "https://integrate.api.nvidia.com/v1/chat/completions",
    header: bearer,
    body: "meta/llama3-8b-instruct"
  },
  { model: "ollama/llama3", variables: {}, url: /^http:\/\/127\.0\.0\.1:11434\/api\//, body: "llama3" },
  { model: "ollama_chat/llama3", variables: {}, url: /^http:\/\/127\.0\.0\.1:11434\/api\//, body: "llama3" },
  {
    model: "openai/gpt-4o",
    variables: { OPENAI_API_KEY: "secret" },
    url: "https://api.openai.com/v1/chat/completions",
    header: bearer,
    body: "gpt-4o"
  },
  {
    model: "openrouter/openai/gpt-4o",
    variables: { OPENROUTER_API_KEY: "secret" },
    url: "https://openrouter.ai/api/v1/chat/completions",
    header: bearer,
    body: "openai/gpt-4o"
  },
  {
    model: "perplexity/sonar",
    variables: { PERPLEXITYAI_API_KEY: "secret" },
    url: "https://api.perplexity.ai/chat/completions",
    header: bearer,
    body: "sonar"
  },
  {
    model: "sagemaker/my-endpoint",
    variables: aws,
    url: "https://runtime.sagemaker.us-west-2.amazonaws.com/endpoints/my-endpoint/invocations-response-stream"
  },
  {
    model: "sagemaker_chat/my-endpoint",
    variables: aws,
    url: "https://runtime.sagemaker.us-west-2.amazonaws.com/endpoints/my-endpoint/invocations-response-stream"
  },
  {
    model: "together_ai/togethercomputer/CodeLlama-7b-Instruct",
    variables: { TOGETHERAI_API_KEY: "secret" },
    url: "https://api.together.xyz/v1/chat/completions",
    header: bearer,
    body: "togethercomputer/CodeLlama-7b-Instruct"
  },
  {
    model: "vertex_ai/gemini-2.0-flash",
    variables: { ...google, VERTEXAI_ENDPOINT_ID: "9" },
    url: /^https:\/\/us-central1-aiplatform\.googleapis\.com\/.*\/publishers\/google\/models\/gemini-2\.0-flash:streamGenerateContent/,
    header: ["authorization", "Bearer token"]
  },
  {
    model: "vertex_ai/1234",
    variables: google,
    url: /\/endpoints\/1234:predict$/
  },
  {
    model: "vertex_ai/openai/1234",
    variables: google,
    url: /\/endpoints\/1234:streamRawPredict$/
  },
  {
    model: "xai/grok-3",
    variables: { XAI_API_KEY: "secret" },
    url: "https://api.x.ai/v1/chat/completions",
    header: bearer,
    body: "grok-3"
  }
]

describe("LiteLlm: a known prefix", () => {
  it.effect.each(rows.map((row) => [row.model, row] as const))(
    "%s",
    ([_model, { body, header, model, url, variables }]) =>
      Effect.gen(function* () {
        // A proxy is for other models only.
        const request = yield* requestOf(LiteLlm.layerConfig({ model }), {
          LITELLM_API_BASE: "http://proxy",
          ...variables
        })
        if (typeof url === "string") assert.strictEqual(urlOf(request), url)
        else assert.match(urlOf(request), url)
        if (header !== undefined) assert.deepInclude(headersOf(request), header)
        if (body !== undefined) assert.strictEqual(JSON.parse(request?.body ?? "{}").model, body)
      })
  )

  it("is tested for each there is", () => {
    const tested = new Set(rows.map(({ model }) => model.split("/")[0]))
    assert.deepStrictEqual(
      LiteLlm.prefixes.filter((prefix) => !tested.has(prefix)),
      []
    )
  })

  it.effect("names the key that is missing, under LiteLLM's own name", () =>
    Effect.gen(function* () {
      for (const [model, variable] of [
        ["groq/m", "GROQ_API_KEY"],
        ["perplexity/m", "PERPLEXITYAI_API_KEY"],
        ["hosted_vllm/m", "HOSTED_VLLM_API_BASE"],
        ["together_ai/m", "TOGETHERAI_API_KEY"],
        ["openai/m", "OPENAI_API_KEY"],
        ["anthropic/m", "ANTHROPIC_API_KEY"],
        ["azure/m", "AZURE_API_BASE"]
      ] as const) {
        assert.match(
          (yield* failureOf(LiteLlm.layerConfig({ model }), {})).message,
          new RegExp(`^${variable} must be set`)
        )
      }
    })
  )

  it.effect("can be asked elsewhere: by the caller, or by the variable of the API", () =>
    Effect.gen(function* () {
      const variables = { GROQ_API_KEY: "k", GROQ_API_BASE: "http://env" }
      const env = yield* requestOf(LiteLlm.layerConfig({ model: "groq/m" }), variables)
      assert.strictEqual(urlOf(env), "http://env/v1/chat/completions")
      const given = yield* requestOf(LiteLlm.layerConfig({ model: "groq/m", apiBase: "http://given/x" }), variables)
      assert.strictEqual(urlOf(given), "http://given/x/chat/completions")
    })
  )

  it.effect("takes the endpoint and the options of OpenAI's API", () =>
    Effect.gen(function* () {
      const layer = LiteLlm.layerConfig({ model: "xai/m", endpoint: "responses", ignoreEos: true })
      const request = yield* requestOf(layer, { XAI_API_KEY: "k" })
      assert.strictEqual(request?.path, "/v1/responses")
      assert.include(request?.body, '"ignore_eos":true')
    })
  )
})

describe("LiteLlm: any other model", () => {
  const model = "meta-llama/Llama-2-7b-chat-hf"

  it.effect("goes to the proxy under the name it has", () =>
    Effect.gen(function* () {
      const proxy = { LITELLM_API_BASE: "http://proxy:4000" }
      for (const name of [model, "gpt-4o", "claude-2", "my-alias"]) {
        const request = yield* requestOf(LiteLlm.layerConfig({ model: name }), proxy)
        assert.strictEqual(urlOf(request), "http://proxy:4000/v1/chat/completions")
        assert.include(request?.body, `"model":"${name}"`)
        assert.notInclude(request?.headers ?? [], "authorization")
      }
      const request = yield* requestOf(LiteLlm.layerConfig({ model }), { ...proxy, LITELLM_API_KEY: "secret" })
      assert.deepInclude(headersOf(request), bearer)
      const given = yield* requestOf(LiteLlm.layerConfig({ model, apiBase: "http://given" }), {})
      assert.strictEqual(urlOf(given), "http://given/v1/chat/completions")
    })
  )

  it.effect("is refused without a proxy, and the known prefixes are listed", () =>
    Effect.gen(function* () {
      const error = yield* failureOf(LiteLlm.layerConfig({ model }), { OPENAI_API_KEY: "k", ANTHROPIC_API_KEY: "k" })
      assert.match(error.message, /^LITELLM_API_BASE must be set: /)
      assert.include(error.message, model)
      for (const prefix of LiteLlm.prefixes) assert.include(error.message, ` ${prefix}/`)
    })
  )

  it.effect("is known by its name when it is one of Anthropic's or OpenAI's", () =>
    Effect.gen(function* () {
      const keys = { ANTHROPIC_API_KEY: "a", OPENAI_API_KEY: "o" }
      for (const [name, url] of [
        ["claude-2", "https://api.anthropic.com/v1/messages"],
        ["gpt-4o-mini", "https://api.openai.com/v1/chat/completions"],
        ["o3-mini", "https://api.openai.com/v1/chat/completions"],
        ["ft:gpt-4o:me::1", "https://api.openai.com/v1/chat/completions"]
      ] as const) {
        const request = yield* requestOf(LiteLlm.layerConfig({ model: name }), keys)
        assert.strictEqual(urlOf(request), url)
        assert.include(request?.body, `"model":"${name}"`)
      }
    })
  )
})

describe("LiteLlm.parse", () => {
  it.each([
    ["together_ai/a/b", { prefix: "together_ai", family: null, model: "a/b" }],
    ["openai/gpt-4o", { prefix: "openai", family: null, model: "gpt-4o" }],
    ["meta-llama/x", { prefix: null, family: null, model: "meta-llama/x" }],
    ["claude-2", { prefix: null, family: "anthropic", model: "claude-2" }],
    ["gpt-4", { prefix: null, family: "openai", model: "gpt-4" }],
    ["groq", { prefix: null, family: null, model: "groq" }],
    ["/groq", { prefix: null, family: null, model: "/groq" }],
    ["constructor/x", { prefix: null, family: null, model: "constructor/x" }],
    ["orca-mini", { prefix: null, family: null, model: "orca-mini" }]
  ])("%s", (model, expected) => {
    assert.deepStrictEqual(LiteLlm.parse(model), expected)
  })
})
