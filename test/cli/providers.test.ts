import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Providers from "../../src/cli/internal/providers.ts"
import { llmApis } from "../../src/cli/flags.ts"
import { Provider } from "../../src/provider/Provider.ts"
import { collect, plan } from "../provider/asking.ts"
import { recording, urlOf } from "../provider/recording.ts"
import { parse } from "./invocation.ts"

/** Takes a command apart as a shell does: words, quotes, and backslashes at the ends of lines. */
const words = (command: string): ReadonlyArray<string> =>
  [...command.replaceAll(/\\[ \t]*(\n|$)/g, " ").matchAll(/(?:"[^"]*"|'[^']*'|[^\s"'])+/g)].map(([word]) =>
    word.replaceAll(/"([^"]*)"|'([^']*)'/g, "$1$2")
  )

const settings = { requestIdHeader: "x-request-id", tokenizer: "llama", runId: "run", seed: 1 }

/** The request that `load-test` with these arguments would send, in an environment with nothing but these variables. */
const requestOf = Effect.fnUntraced(function* (
  args: ReadonlyArray<string>,
  variables: { readonly [name: string]: string }
) {
  const input = yield* parse(args)
  const { layer: transport, requests } = recording()
  const environment = ConfigProvider.layer(ConfigProvider.fromEnvRecord(variables))
  const { additionalSamplingParams, model } = input
  const layer = Providers.layer(input, { ...settings, model, additionalSamplingParams }).pipe(
    Layer.provide([transport, environment, NodeServices.layer])
  )
  yield* Effect.gen(function* () {
    yield* collect((yield* Provider).stream(plan))
  }).pipe(Effect.provide(layer))
  return requests[0]
})

const openAi = { OPENAI_API_KEY: "secret_abcdefg", OPENAI_API_BASE: "https://api.endpoints.anyscale.com/v1" }
const anthropic = { ANTHROPIC_API_KEY: "secret_abcdefg" }
const together = { TOGETHERAI_API_KEY: "YOUR_TOGETHER_KEY" }
const huggingFace = { HUGGINGFACE_API_KEY: "YOUR_KEY", HUGGINGFACE_API_BASE: "https://x.endpoints.huggingface.cloud" }
const proxy = { LITELLM_API_BASE: "http://127.0.0.1:4000" }
const vertex = {
  GCLOUD_ACCESS_TOKEN: "token",
  GCLOUD_PROJECT_ID: "YOUR_PROJECT_ID",
  GCLOUD_REGION: "us-central1",
  VERTEXAI_ENDPOINT_ID: "4242"
}
const sageMaker = {
  AWS_ACCESS_KEY_ID: "YOUR_ACCESS_KEY_ID",
  AWS_SECRET_ACCESS_KEY: "YOUR_SECRET_ACCESS_KEYs",
  AWS_SESSION_TOKEN: "YOUR_SESSION_TOKEN",
  AWS_REGION_NAME: "us-east-1"
}

/** A load test of the original: only the model, the API and the address differ from one to the next. */
const loadTest = (model: string, llmApi: string): string => String.raw`
--model "${model}" \
--mean-input-tokens 550 \
--stddev-input-tokens 150 \
--mean-output-tokens 150 \
--stddev-output-tokens 10 \
--max-num-completed-requests 2 \
--timeout 600 \
--num-concurrent-requests 1 \
--results-dir "result_outputs" \
--llm-api ${llmApi} \
--additional-sampling-params '{}'
`

/** And a correctness test, which ends in a backslash there. */
const correctness = (model: string, llmApi: string): string => String.raw`
--model "${model}" \
${llmApi === "" ? "" : `--llm-api ${llmApi} \\\n`}--max-num-completed-requests 2 \
--timeout 600 \
--num-concurrent-requests 1 \
--results-dir "result_outputs" \

`

const llama = "meta-llama/Llama-2-7b-chat-hf"
const codeLlama = "together_ai/togethercomputer/CodeLlama-7b-Instruct"

const chatAt = (base: string) => `${base}/chat/completions`
const predict =
  "https://us-central1-aiplatform.googleapis.com/v1/projects/YOUR_PROJECT_ID/locations/us-central1/endpoints/4242:predict"
const messages = "https://api.anthropic.com/v1/messages"

/** The examples of LLMPerf's README, the variables they set, and where their requests go. */
const examples: ReadonlyArray<
  readonly [name: string, command: string, variables: { readonly [name: string]: string }, url: string]
> = [
  [
    "load test: a schedule",
    String.raw`
  --model "meta-llama/Llama-2-7b-chat-hf" \
  --schedule-file "schedules/bursty_schedule.csv" \
  --results-dir "result_outputs" \
  --llm-api "openai" \
  --additional-sampling-params '{}'
`,
    openAi,
    chatAt(openAi.OPENAI_API_BASE)
  ],
  ["load test: OpenAI compatible", loadTest(llama, "openai"), openAi, chatAt(openAi.OPENAI_API_BASE)],
  ["load test: Anthropic", loadTest("claude-2", "anthropic"), anthropic, messages],
  ["load test: TogetherAI", loadTest(codeLlama, '"litellm"'), together, chatAt("https://api.together.xyz/v1")],
  [
    "load test: Hugging Face",
    loadTest(`huggingface/${llama}`, '"litellm"'),
    huggingFace,
    chatAt(`${huggingFace.HUGGINGFACE_API_BASE}/v1`)
  ],
  ["load test: LiteLLM", loadTest(llama, '"litellm"'), proxy, chatAt("http://127.0.0.1:4000/v1")],
  ["load test: Vertex AI", loadTest(llama, '"vertexai"'), vertex, predict],
  [
    "correctness: SageMaker",
    correctness("llama-2-7b", '"sagemaker"'),
    sageMaker,
    "https://runtime.sagemaker.us-east-1.amazonaws.com/endpoints/llama-2-7b/invocations-response-stream"
  ],
  ["correctness: OpenAI compatible", correctness(llama, ""), openAi, chatAt(openAi.OPENAI_API_BASE)],
  ["correctness: Anthropic", correctness("claude-2", '"anthropic" '), anthropic, messages],
  ["correctness: TogetherAI", correctness(codeLlama, '"litellm"'), together, chatAt("https://api.together.xyz/v1")],
  [
    "correctness: Hugging Face",
    correctness(`huggingface/${llama}`, '"litellm"'),
    huggingFace,
    chatAt(`${huggingFace.HUGGINGFACE_API_BASE}/v1`)
  ],
  ["correctness: LiteLLM", correctness(llama, '"litellm"'), proxy, chatAt("http://127.0.0.1:4000/v1")],
  ["correctness: Vertex AI", correctness(llama, '"vertexai"'), vertex, predict]
]

describe("the examples of LLMPerf's README", () => {
  it("are taken apart as a shell does", () => {
    assert.deepStrictEqual(words(`--model "a b" \\\n--x '{"y": 1}' \\\n\n`), ["--model", "a b", "--x", '{"y": 1}'])
  })

  it.effect.each(examples)("%s", ([_name, command, variables, url]) =>
    Effect.gen(function* () {
      const args = words(command)
      assert.include(args, "--model")
      assert.strictEqual(urlOf(yield* requestOf(args, variables)), url)
    })
  )
})

const everything = {
  ...openAi,
  ...anthropic,
  ...together,
  ...huggingFace,
  ...vertex,
  ...sageMaker,
  AZURE_API_KEY: "k",
  AZURE_API_BASE: "https://n.openai.azure.com",
  GEMINI_API_KEY: "k",
  GROQ_API_KEY: "k"
}

/** A model of each API, written as LiteLLM writes it. */
const prefixed: { readonly [api: string]: string } = {
  azure: "azure/m",
  anthropic: "anthropic/m",
  litellm: "groq/m",
  together: "together_ai/m",
  huggingface: "huggingface/m",
  vertexai: "vertex_ai/m",
  gemini: "gemini/m",
  sagemaker: "sagemaker/m",
  bedrock: "bedrock/m",
  ollama: "ollama/m"
}

describe("Providers.layer", () => {
  const apis = llmApis.filter((api) => api !== "simulated")

  it.effect.each(apis)("%s can be asked elsewhere", (api) =>
    Effect.gen(function* () {
      const model = api === "litellm" ? "groq/m" : "m"
      const request = yield* requestOf(
        ["--llm-api", api, "--api-base", "http://127.0.0.1:9", "--model", model],
        everything
      )
      assert.strictEqual(request?.origin, "http://127.0.0.1:9")
      assert.include(request?.headers ?? [], "x-request-id")
      assert.include(request?.headers ?? [], "run-7")
    })
  )

  it.effect.each(apis.filter((api) => api !== "openai"))(
    "%s takes a model with the prefix that LiteLLM gives it",
    (api) =>
      Effect.gen(function* () {
        const args = ["--llm-api", api, "--model"]
        const named = yield* requestOf([...args, prefixed[api] ?? ""], everything)
        const plain = yield* requestOf([...args, api === "litellm" ? "groq/m" : "m"], everything)
        assert.strictEqual(named?.body, plain?.body)
        assert.strictEqual(named?.path, plain?.path)
        assert.notInclude(named?.path, prefixed[api] ?? "")
      })
  )

  it.effect("openai leaves a model's name as it is", () =>
    Effect.gen(function* () {
      const request = yield* requestOf(["--model", "openai/gpt-oss-20b"], openAi)
      assert.include(request?.body, '"model":"openai/gpt-oss-20b"')
    })
  )

  it.effect("togetherai is together", () =>
    Effect.gen(function* () {
      const request = yield* requestOf(["--llm-api", "togetherai"], together)
      assert.strictEqual(request?.origin, "https://api.together.xyz")
    })
  )

  it.effect("asks SageMaker as LLMPerf does unless another payload is named", () =>
    Effect.gen(function* () {
      const asked = yield* requestOf(["--llm-api", "sagemaker"], sageMaker)
      assert.match(asked?.body ?? "", /"inputs":\[\[/)
      const messages = yield* requestOf(["--llm-api", "sagemaker", "--payload-style", "messages"], sageMaker)
      assert.match(messages?.body ?? "", /"messages":\[/)
    })
  )

  it.effect("hands on what is for some APIs only", () =>
    Effect.gen(function* () {
      const responses = yield* requestOf(["--endpoint", "responses", "--ignore-eos"], openAi)
      assert.match(responses?.path ?? "", /\/responses$/)
      assert.include(responses?.body, '"ignore_eos":true')
      const tgi = yield* requestOf(["--llm-api", "sagemaker", "--payload-style", "tgi"], sageMaker)
      assert.include(tgi?.body, '"inputs"')
      const inPrefix = yield* requestOf(
        ["--llm-api", "litellm", "--payload-style", "tgi", "--model", "sagemaker/e"],
        sageMaker
      )
      assert.strictEqual(inPrefix?.body, tgi?.body)
      const raw = yield* requestOf(["--llm-api", "vertexai", "--vertex-route", "raw"], vertex)
      assert.match(raw?.path ?? "", /:streamRawPredict$/)
      const publisher = yield* requestOf(
        ["--llm-api", "litellm", "--vertex-route", "publisher", "--model", "vertex_ai/gemini-2.0-flash"],
        vertex
      )
      assert.match(publisher?.path ?? "", /gemini-2\.0-flash:streamGenerateContent/)
    })
  )

  it.effect.each([
    ["openai"],
    ["azure"],
    ["anthropic"],
    ["together"],
    ["huggingface"],
    ["gemini"],
    ["litellm", "--model", "groq/m"],
    ["litellm", "--model", "openai/m"]
  ])("needs no key for a server on this computer, only for others: %s", ([api = "", ...more]) =>
    Effect.gen(function* () {
      const asked = (host: string) => requestOf(["--llm-api", api, ...more, "--api-base", host], {})
      const request = yield* asked("http://127.0.0.1:8000/v1")
      const names = (request?.headers ?? []).filter((_, index) => index % 2 === 0)
      assert.deepStrictEqual(
        names.filter((name) => /authorization|key/.test(name)),
        []
      )
      const host = api === "huggingface" ? "https://router.huggingface.co/v1" : "https://api.example/v1"
      const error = yield* Effect.flip(asked(host))
      assert.match(error.message, /^\w+_KEY must be set/)
    })
  )

  it.effect("takes the endpoint from a full path", () =>
    Effect.gen(function* () {
      for (const [path, word] of [
        ["completions", "prompt"],
        ["responses", "input"],
        ["chat/completions", "messages"]
      ] as const) {
        const request = yield* requestOf(["--api-base", `http://127.0.0.1:1/v1/${path}`], {})
        assert.strictEqual(urlOf(request), `http://127.0.0.1:1/v1/${path}`)
        assert.property(JSON.parse(request?.body ?? ""), word)
      }
    })
  )

  it.effect("refuses a flag that says nothing to the API", () =>
    Effect.gen(function* () {
      for (const args of [
        ["--vertex-route", "raw"],
        ["--llm-api", "anthropic", "--ignore-eos"],
        ["--llm-api", "ollama", "--endpoint", "completions"],
        ["--llm-api", "together", "--payload-style", "tgi"]
      ]) {
        const error = yield* Effect.flip(requestOf(args, everything))
        assert.strictEqual(error._tag, "CommandError")
        assert.match(error.message, / has no meaning for --llm-api /)
      }
      for (const args of [
        ["--endpoint", "responses"],
        ["--ignore-eos"],
        ["--payload-style", "tgi"],
        ["--vertex-route", "raw"]
      ]) {
        const error = yield* Effect.flip(requestOf(["--provider", "never-loaded.ts", ...args], everything))
        assert.strictEqual(error.message, `${args[0]} has no meaning for --provider.`)
      }
    })
  )
})
