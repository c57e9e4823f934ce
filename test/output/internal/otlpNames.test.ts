import { assert, describe, it } from "@effect/vitest"
import { llmApis } from "../../../src/cli/flags.ts"
import * as Ids from "../../../src/output/internal/otlpIds.ts"
import { operationOf, providerOf } from "../../../src/output/internal/otlpNames.ts"
import * as LiteLlm from "../../../src/provider/LiteLlm.ts"

/** https://github.com/open-telemetry/semantic-conventions-genai, `gen_ai.provider.name`, version 0.1.0 */
const wellKnown = [
  "anthropic",
  "aws.bedrock",
  "azure.ai.inference",
  "azure.ai.openai",
  "cohere",
  "deepseek",
  "gcp.gemini",
  "gcp.gen_ai",
  "gcp.vertex_ai",
  "groq",
  "ibm.watsonx.ai",
  "mistral_ai",
  "moonshot_ai",
  "openai",
  "perplexity",
  "x_ai"
]

describe("the names of providers", () => {
  it("are those of the conventions where they have one", () => {
    const names = llmApis.map((api) => [api, providerOf(api, "some-model")])
    assert.deepStrictEqual(Object.fromEntries(names), {
      openai: "openai",
      azure: "azure.ai.openai",
      anthropic: "anthropic",
      litellm: "litellm",
      together: "together_ai",
      huggingface: "huggingface",
      vertexai: "gcp.vertex_ai",
      gemini: "gcp.gemini",
      sagemaker: "aws.sagemaker",
      bedrock: "aws.bedrock",
      ollama: "ollama",
      simulated: "llmperf.simulated"
    })
  })

  it("are known for every prefix of LiteLLM", () => {
    const names = LiteLlm.prefixes.map((prefix) => providerOf("litellm", `${prefix}/some-model`))
    assert.lengthOf(
      names.filter((name) => name === "litellm"),
      1,
      "litellm_proxy"
    )
    assert.includeMembers(wellKnown, ["deepseek", "groq", "mistral_ai", "perplexity", "x_ai"])
    assert.includeMembers(names, ["deepseek", "groq", "mistral_ai", "perplexity", "x_ai", "vllm", "gcp.gemini"])
  })

  it("go by the model where LiteLLM does", () => {
    assert.strictEqual(providerOf("litellm", "claude-sonnet"), "anthropic")
    assert.strictEqual(providerOf("litellm", "gpt-5"), "openai")
    assert.strictEqual(providerOf("litellm", "meta-llama/Llama-3"), "litellm")
    assert.strictEqual(providerOf("litellm", "constructor/x"), "litellm")
  })

  it("are the user's own for an API of his own", () => {
    assert.strictEqual(providerOf("my-provider.ts", "m"), "my-provider.ts")
    assert.strictEqual(providerOf("toString", "m"), "toString")
  })
})

describe("the names of operations", () => {
  it("say what is asked for", () => {
    assert.strictEqual(operationOf("openai", "m", "chat"), "chat")
    assert.strictEqual(operationOf("openai", "m", "responses"), "chat")
    assert.strictEqual(operationOf("openai", "m", "completions"), "text_completion")
    assert.strictEqual(operationOf("gemini", "gemini-2.5-pro", "chat"), "generate_content")
    assert.strictEqual(operationOf("vertexai", "gemini-2.5-pro", "chat"), "generate_content")
    assert.strictEqual(operationOf("litellm", "vertex_ai/gemini-2.5-pro", "chat"), "generate_content")
    assert.strictEqual(operationOf("vertexai", "claude-sonnet", "chat"), "chat")
    assert.strictEqual(operationOf("openai", "gemini-like", "chat"), "chat")
  })
})

describe("ids", () => {
  it("are those that sha256sum gives for what a request carries", () => {
    // printf %s run-1 | sha256sum
    assert.deepStrictEqual(Ids.ofRequest("run", 1), {
      traceId: "4e65d3fbe8ad6535681b021b30785b12",
      spanId: "b6c0e3f8878859a4"
    })
  })
})
