import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import {
  type Asked,
  type ContentKind,
  type Dialect,
  type Ending,
  type ErrorType,
  type Frames,
  type Identity,
  type Words
} from "../dialect.ts"
import * as openAi from "../openAi.ts"
import * as PromptText from "../../../domain/PromptText.ts"
import { type Answer, json } from "../refusal.ts"
import * as sse from "../sse.ts"

/**
 * OpenAI's Responses API.
 * https://platform.openai.com/docs/api-reference/responses, https://platform.openai.com/docs/api-reference/responses-streaming
 */

const optional = <S extends Schema.Top>(schema: S) => Schema.optionalKey(Schema.NullOr(schema))

const Body = Schema.fromJsonString(
  Schema.Struct({
    model: Schema.String,
    input: Schema.Union([Schema.String, Schema.Array(Schema.Unknown)]),
    instructions: optional(Schema.String),
    max_output_tokens: optional(Schema.Int.check(Schema.isGreaterThan(0))),
    stream: optional(Schema.Boolean)
  })
)
const decode = Schema.decodeUnknownOption(Body)

const errorCodes: { readonly [T in ErrorType]: readonly [type: string, code: string | null] } = {
  invalid_request_error: ["invalid_request_error", null],
  authentication_error: ["invalid_request_error", "invalid_api_key"],
  not_found_error: ["invalid_request_error", "model_not_found"],
  rate_limit_error: ["requests", "rate_limit_exceeded"],
  api_error: ["server_error", "server_error"],
  overloaded_error: ["server_error", "server_overloaded"]
}

const error = (status: number, type: ErrorType, message: string): Answer => {
  const [openAiType, code] = errorCodes[type]
  return json(status, openAi.error(message, openAiType, code))
}

const read: Dialect["read"] = ({ body }) => {
  const decoded = decode(body.toString("utf8"))
  if (Option.isNone(decoded)) {
    return error(400, "invalid_request_error", "The body needs model and input, a text or a list of items")
  }
  const { input, instructions, max_output_tokens, model, stream } = decoded.value
  const prompt = PromptText.textOf([instructions, input])
  return {
    model,
    stream: stream === true,
    prompt,
    outputTokens: max_output_tokens ?? undefined
  }
}

type Status = "in_progress" | "completed" | "incomplete" | "failed"

const responseOf = (asked: Asked, identity: Identity, status: Status, output: ReadonlyArray<object>, more: object) => ({
  id: `resp_${identity.ordinal}`,
  object: "response",
  created_at: identity.createdSeconds,
  status,
  error: null,
  incomplete_details: status === "incomplete" ? { reason: "max_output_tokens" } : null,
  max_output_tokens: asked.outputTokens ?? null,
  model: identity.model,
  output,
  usage: null,
  ...more
})

const usageOf = (ending: Ending) => ({
  usage: {
    input_tokens: ending.promptTokens,
    input_tokens_details: { cached_tokens: 0 },
    output_tokens: ending.completionTokens,
    output_tokens_details: { reasoning_tokens: ending.reasoningTokens },
    total_tokens: ending.promptTokens + ending.completionTokens
  }
})

const statusOf = (ending: Ending): Status => (ending.reason === "length" ? "incomplete" : "completed")

const itemId = (kind: ContentKind, identity: Identity): string =>
  `${{ text: "msg", reasoning: "rs", tool: "fc" }[kind]}_${identity.ordinal}`

const textPart = (text: string) => ({ type: "output_text", text, annotations: [], logprobs: [] })

const summaryPart = (text: string) => ({ type: "summary_text", text })

/** An item of the output; before its text is complete, its list of parts is empty. */
const itemOf = (kind: ContentKind, identity: Identity, status: Status, text: string): object => {
  const id = itemId(kind, identity)
  const begun = status !== "in_progress"
  switch (kind) {
    case "text":
      return { id, type: "message", status, role: "assistant", content: begun ? [textPart(text)] : [] }
    case "reasoning":
      return { id, type: "reasoning", summary: begun ? [summaryPart(text)] : [] }
    case "tool":
      return { id, type: "function_call", status, arguments: text, call_id: `call_${identity.ordinal}`, name: "write" }
  }
}

/** What the events about the text of an item are called, and where in the item it is. */
interface TextEvents {
  readonly name: string
  readonly field: string
  readonly place: object
  readonly part?: { readonly name: string; readonly of: (text: string) => object }
}

const textEvents: { readonly [K in ContentKind]: TextEvents } = {
  text: {
    name: "response.output_text",
    field: "text",
    place: { content_index: 0 },
    part: { name: "response.content_part", of: textPart }
  },
  reasoning: {
    name: "response.reasoning_summary_text",
    field: "text",
    place: { summary_index: 0 },
    part: { name: "response.reasoning_summary_part", of: summaryPart }
  },
  tool: { name: "response.function_call_arguments", field: "arguments", place: {} }
}

const logprobs = (kind: ContentKind): object => (kind === "text" ? { logprobs: [] } : {})

const frames = (asked: Asked, identity: Identity): Frames => {
  let sequence = 0
  const event = (type: string, fields: object): string =>
    sse.named(type, JSON.stringify({ type, sequence_number: sequence++, ...fields }))

  const output: Array<object> = []
  let open: ContentKind | undefined
  let text = ""
  const placeOf = (kind: ContentKind) => ({
    item_id: itemId(kind, identity),
    output_index: output.length,
    ...textEvents[kind].place
  })

  const closeItem = (status: Status): string => {
    if (open === undefined) return ""
    const kind = open
    const { field, name, part } = textEvents[kind]
    const place = placeOf(kind)
    const item = itemOf(kind, identity, status, text)
    const events =
      event(`${name}.done`, { ...place, [field]: text, ...logprobs(kind) }) +
      (part === undefined ? "" : event(`${part.name}.done`, { ...place, part: part.of(text) })) +
      event("response.output_item.done", { output_index: output.length, item })
    output.push(item)
    open = undefined
    text = ""
    return events
  }
  const openItem = (kind: ContentKind): string => {
    const closing = closeItem("completed")
    open = kind
    const { part } = textEvents[kind]
    const item = itemOf(kind, identity, "in_progress", "")
    return (
      closing +
      event("response.output_item.added", { output_index: output.length, item }) +
      (part === undefined ? "" : event(`${part.name}.added`, { ...placeOf(kind), part: part.of("") }))
    )
  }
  const whole = (type: string, status: Status, more: object = {}): string =>
    event(type, { response: responseOf(asked, identity, status, output, more) })

  return {
    contentType: "text/event-stream; charset=utf-8",
    opening: () => whole("response.created", "in_progress") + whole("response.in_progress", "in_progress"),
    content: (kind, delta) => {
      const opening = kind === open ? "" : openItem(kind)
      text += delta
      return opening + event(`${textEvents[kind].name}.delta`, { ...placeOf(kind), delta, ...logprobs(kind) })
    },
    finish: (ending) => {
      const status = statusOf(ending)
      return closeItem(status) + whole(`response.${status}`, status, usageOf(ending))
    },
    failure: (type, message) => {
      const code = errorCodes[type][1]
      const failed = { error: { code: "server_error", message } }
      return event("error", { code, message, param: null }) + whole("response.failed", "failed", failed)
    },
    garbage: () => sse.named("response.output_text.delta", "{not json"),
    ping: () => ": ping\n\n"
  }
}

const kinds: ReadonlyArray<ContentKind> = ["reasoning", "text", "tool"]

const whole = (asked: Asked, identity: Identity, words: Words, ending: Ending): Answer => {
  const status = statusOf(ending)
  const output = kinds
    .filter((kind) => words[kind] !== "")
    .map((kind, i, all) => itemOf(kind, identity, i === all.length - 1 ? status : "completed", words[kind]))
  return json(200, JSON.stringify(responseOf(asked, identity, status, output, usageOf(ending))))
}

export const responses: Dialect = {
  name: "responses",
  matches: (method, path) => method === "POST" && /^(\/openai)?(\/v1)?\/responses$/.test(path),
  read,
  frames,
  whole,
  error
}
