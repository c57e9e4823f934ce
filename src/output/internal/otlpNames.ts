/** What the semantic conventions call the APIs (https://github.com/open-telemetry/semantic-conventions-genai). */

/** Values of `gen_ai.provider.name`: those that the conventions list where there is one, else a name of our own. */
const providers: { readonly [name: string]: string } = {
  anthropic: "anthropic",
  azure: "azure.ai.openai",
  bedrock: "aws.bedrock",
  cerebras: "cerebras",
  deepseek: "deepseek",
  fireworks_ai: "fireworks_ai",
  gemini: "gcp.gemini",
  groq: "groq",
  hosted_vllm: "vllm",
  huggingface: "huggingface",
  litellm_proxy: "litellm",
  mistral: "mistral_ai",
  nvidia_nim: "nvidia_nim",
  ollama: "ollama",
  ollama_chat: "ollama",
  openai: "openai",
  openrouter: "openrouter",
  perplexity: "perplexity",
  sagemaker: "aws.sagemaker",
  sagemaker_chat: "aws.sagemaker",
  simulated: "llmperf.simulated",
  together: "together_ai",
  together_ai: "together_ai",
  vertexai: "gcp.vertex_ai",
  vertex_ai: "gcp.vertex_ai",
  xai: "x_ai"
}

const named = (name: string): string | undefined => (Object.hasOwn(providers, name) ? providers[name] : undefined)

/** Models that LiteLLM knows without a prefix. */
const families = [
  ["anthropic", /^claude-/],
  ["openai", /^((ft:)?gpt-|chatgpt-|o[1-9](-|$))/]
] as const

/** What stands before the name of a model says which API it is asked of; a proxy takes all that is not known. */
const ofLiteLlm = (model: string): string => {
  const prefix = model.slice(0, Math.max(0, model.indexOf("/")))
  const family = families.find(([, names]) => names.test(model))?.[0] ?? ""
  return named(prefix) ?? named(family) ?? "litellm"
}

/** An API that is not known here is one of the user's own, and is called as it is. */
export const providerOf = (llmApi: string, model: string): string =>
  llmApi === "litellm" ? ofLiteLlm(model) : (named(llmApi) ?? llmApi)

/** `gen_ai.operation.name`. Google calls it otherwise. */
export const operationOf = (llmApi: string, model: string, endpoint: string): string => {
  if (endpoint === "completions") return "text_completion"
  const provider = providerOf(llmApi, model)
  const isGemini = provider === "gcp.gemini" || (provider === "gcp.vertex_ai" && /(^|\/)gemini-/.test(model))
  return isGemini ? "generate_content" : "chat"
}
