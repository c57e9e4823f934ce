import * as Schema from "effect/Schema"
import { textOf } from "../../domain/PromptText.ts"

const optional = <S extends Schema.Top>(schema: S) => Schema.optionalKey(Schema.NullOr(schema))

const Text = Schema.Union([Schema.String, Schema.Array(Schema.Unknown)])

const fields = {
  messages: optional(Schema.Array(Schema.Struct({ content: optional(Text) }))),
  prompt: optional(Text),
  stream: optional(Schema.Boolean),
  stream_options: optional(
    Schema.Struct({ include_usage: optional(Schema.Boolean), continuous_usage_stats: optional(Schema.Boolean) })
  ),
  max_tokens: optional(Schema.Int.check(Schema.isGreaterThan(0))),
  max_completion_tokens: optional(Schema.Int.check(Schema.isGreaterThan(0)))
}

/** What is read of the body of a request, chat and legacy completion alike; other fields are left alone. */
export const RequestBody = Schema.Struct({ model: Schema.String, ...fields })

export interface RequestBody extends Schema.Schema.Type<typeof RequestBody> {}

/** The same where the path names the model; one in the body does not count. */
export const NamelessBody = Schema.Struct(fields)

/** Tokens of a text or of the texts in a list of parts; a number is a token id. */
const tokensOf = (value: unknown, count: (text: string) => number): number => {
  if (typeof value === "string") return count(value)
  if (typeof value === "number") return 1
  if (Array.isArray(value)) return value.reduce((sum: number, part: unknown) => sum + tokensOf(part, count), 0)
  if (typeof value === "object" && value !== null && "text" in value) return tokensOf(value.text, count)
  return 0
}

/** Prompt tokens, at least 1. */
export const promptTokens = (body: RequestBody, count: (text: string) => number): number => {
  const messages = body.messages ?? []
  const total = messages.reduce((sum, message) => sum + tokensOf(message.content, count), tokensOf(body.prompt, count))
  return Math.max(1, total)
}

/** The text of all messages, or of the prompt. */
export const promptText = (body: RequestBody): string => textOf(body.messages ?? body.prompt)
