import * as Option from "effect/Option"
import { textOf } from "../../domain/PromptText.ts"
import { endpointOf, type Input } from "./providers.ts"

/** The field of the body that holds the prompt, where sampling parameters stand beside it; `null` where they don't. */
const fieldOf = (input: Input): string | null => {
  if (Option.isSome(input.provider)) return null
  switch (input.llmApi.value) {
    case "anthropic":
      return "messages"
    case "vertexai":
      return Option.contains(input.vertexRoute, "predict") ? "prompt" : "messages"
    case "sagemaker":
      return Option.contains(input.payloadStyle, "messages") ? "messages" : null
    case "bedrock":
    case "gemini":
    case "ollama":
      return null
    default:
      return { chat: "messages", completions: "prompt", responses: "input" }[endpointOf(input)]
  }
}

/** The text that sampling parameters put in the place of every prompt; `null` when they do not. */
export const replacedPrompt = (input: Input, params: { readonly [name: string]: unknown }): string | null => {
  const field = fieldOf(input)
  const value = field === null ? null : (params[field] ?? null)
  return value === null ? null : textOf(value)
}
