import * as sse from "./sse.ts"

/** Bodies and stream events of OpenAI's chat and legacy completions, as JSON text. */

export type Content = "text" | "reasoning" | "tool"

export interface Usage {
  readonly promptTokens: number
  readonly completionTokens: number
  readonly reasoningTokens: number
}

export interface Identity {
  readonly chat: boolean
  readonly ordinal: number
  readonly model: string
  readonly createdSeconds: number
}

const mark = "\u0001"

const usageOf = (usage: Usage) => ({
  prompt_tokens: usage.promptTokens,
  completion_tokens: usage.completionTokens,
  total_tokens: usage.promptTokens + usage.completionTokens,
  prompt_tokens_details: { cached_tokens: 0 },
  completion_tokens_details: { reasoning_tokens: usage.reasoningTokens }
})

const tool = (text: string, name?: string) => ({
  tool_calls: [
    name === undefined
      ? { index: 0, function: { arguments: text } }
      : { index: 0, id: "call_1", type: "function", function: { name, arguments: text } }
  ]
})

const deltaOf = (content: Content, text: string) => {
  switch (content) {
    case "text":
      return { content: text }
    case "reasoning":
      return { reasoning_content: text }
    case "tool":
      return tool(text)
  }
}

const head = (identity: Identity, object: string) => ({
  id: `${identity.chat ? "chatcmpl" : "cmpl"}-${identity.ordinal}`,
  object,
  created: identity.createdSeconds,
  model: identity.model
})

export interface Events {
  /** The first event of a chat: a role and no content. Empty for legacy completions, which have none. */
  readonly opening: () => string
  /** `usage`: so far, for those who want it with every event. */
  readonly content: (content: Content, text: string, usage?: Usage) => string
  readonly emptyChoices: () => string
  readonly finish: (reason: string) => string
  readonly usage: (usage: Usage) => string
  readonly done: string
}

/** An event around its text. */
interface Template {
  readonly before: string
  readonly after: string
}

/** The events of one answer. What is the same in all of them is written once. */
export const events = (identity: Identity, style: sse.Style, withUsage: boolean, asTool: boolean): Events => {
  const { chat } = identity
  const start = JSON.stringify(head(identity, chat ? "chat.completion.chunk" : "text_completion")).slice(0, -1) + ","
  const usageField = withUsage ? `,"usage":null` : ""
  const event = (choices: unknown, usage = usageField): string =>
    sse.event(style, start, `"choices":${JSON.stringify(choices)}${usage}}`)
  const choice = (delta: object, text: string, reason: string | null): string =>
    event([
      chat
        ? { index: 0, delta, logprobs: null, finish_reason: reason }
        : { index: 0, text, logprobs: null, finish_reason: reason }
    ])

  const template = (content: Content): Template => {
    const [before = "", after = ""] = choice(deltaOf(content, mark), mark, null).split(
      JSON.stringify(mark).slice(1, -1)
    )
    return { before, after }
  }
  const templates: { [C in Content]?: Template } = {}

  return {
    opening: () =>
      chat
        ? choice(
            asTool ? { role: "assistant", content: null, ...tool("", "write") } : { role: "assistant", content: "" },
            "",
            null
          )
        : "",
    content: (content, text, usage) => {
      const { after, before } = (templates[content] ??= template(content))
      const end = usage === undefined ? after : after.replace(usageField, `,"usage":${JSON.stringify(usageOf(usage))}`)
      return before + JSON.stringify(text).slice(1, -1) + end
    },
    emptyChoices: () => event([]) + event([{}]),
    finish: (reason) => choice({}, "", reason),
    usage: (usage) => event([], `,"usage":${JSON.stringify(usageOf(usage))}`),
    done: sse.event(style, "[DONE]")
  }
}

/** The whole answer as one body. */
export const completion = (
  identity: Identity,
  answer: { readonly text: string; readonly reasoning: string; readonly asTool: boolean; readonly reason: string },
  usage: Usage
): string => {
  const { asTool, reason, reasoning, text } = answer
  const message = {
    role: "assistant",
    content: asTool ? null : text,
    ...(reasoning === "" ? {} : { reasoning_content: reasoning }),
    ...(asTool ? tool(text, "write") : {})
  }
  return JSON.stringify({
    ...head(identity, identity.chat ? "chat.completion" : "text_completion"),
    choices: [
      identity.chat
        ? { index: 0, message, logprobs: null, finish_reason: reason }
        : { index: 0, text, logprobs: null, finish_reason: reason }
    ],
    usage: usageOf(usage)
  })
}

export const error = (
  message: string,
  type: string,
  code: string | number | null,
  param: string | null = null
): string => JSON.stringify({ error: { message, type, param, code } })

export const models = (createdSeconds: number): string =>
  JSON.stringify({
    object: "list",
    data: [{ id: "sim", object: "model", created: createdSeconds, owned_by: "llmperf" }]
  })
