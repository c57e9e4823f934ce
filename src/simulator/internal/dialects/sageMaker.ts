import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as awsFrames from "../awsFrames.ts"
import {
  type Asked,
  type ContentKind,
  type Dialect,
  type Ending,
  type ErrorType,
  type Frames,
  type Identity,
  type Reason,
  type Words
} from "../dialect.ts"
import * as PromptText from "../../../domain/PromptText.ts"
import { type Answer, json } from "../refusal.ts"
import * as sigV4Check from "../sigV4Check.ts"

/**
 * InvokeEndpointWithResponseStream and InvokeEndpoint of Amazon SageMaker. Which container is behind the endpoint shows in
 * what it is sent: `messages` are for one of OpenAI's API, a text in `inputs` for TGI, a list in it for JumpStart's Llama 2.
 * https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpointWithResponseStream.html
 */

const Limit = Schema.optionalKey(Schema.Int.check(Schema.isGreaterThan(0)))

const Parameters = Schema.optionalKey(
  Schema.Struct({
    max_new_tokens: Limit,
    temperature: Schema.optionalKey(Schema.Finite),
    details: Schema.optionalKey(Schema.Boolean)
  })
)

const Body = Schema.Union([
  Schema.Struct({
    messages: Schema.NonEmptyArray(Schema.Struct({ role: Schema.String, content: Schema.Unknown })),
    max_tokens: Limit,
    stream: Schema.optionalKey(Schema.Boolean),
    stream_options: Schema.optionalKey(Schema.Struct({ include_usage: Schema.optionalKey(Schema.Boolean) }))
  }),
  Schema.Struct({ inputs: Schema.String, parameters: Parameters, stream: Schema.optionalKey(Schema.Boolean) }),
  Schema.Struct({ inputs: Schema.NonEmptyArray(Schema.NonEmptyArray(Schema.Unknown)), parameters: Parameters })
])
type Body = typeof Body.Type

const decode = Schema.decodeUnknownOption(Schema.fromJsonString(Body))

const address = /^\/endpoints\/([^/]+)\/(invocations|invocations-response-stream)$/

interface SageMakerAsked extends Asked {
  readonly sent: Body
}

const refusal = (status: number, type: string, message: string): Answer =>
  json(status, JSON.stringify({ message }), { "x-amzn-errortype": `${type}:http://internal.amazon.com/coral/` })

const errorNames = {
  invalid_request_error: "ValidationError",
  authentication_error: "AccessDeniedException",
  not_found_error: "ValidationError",
  rate_limit_error: "ThrottlingException",
  api_error: "InternalFailure",
  overloaded_error: "ServiceUnavailable"
} as const satisfies { readonly [E in ErrorType]: string }

const error = (status: number, type: ErrorType, message: string): Answer => refusal(status, errorNames[type], message)

/** The refusal of a container, passed on by the service. */
const modelError = (message: string): Answer => {
  const original = JSON.stringify({ error: message })
  return json(
    424,
    JSON.stringify({
      ErrorCode: "CLIENT_ERROR_FROM_MODEL",
      LogStreamArn: "arn:aws:logs:us-east-1:000000000000:log-group:/aws/sagemaker/Endpoints/sim",
      Message: `Received client error (422) from primary with message "${original}".`,
      OriginalMessage: original,
      OriginalStatusCode: 422
    }),
    { "x-amzn-errortype": "ModelError:http://internal.amazon.com/coral/" }
  )
}

const read: Dialect["read"] = (incoming) => {
  const refused = sigV4Check.refused(incoming, "sagemaker")
  if (refused !== undefined) return refusal(403, refused.type, refused.message)
  const [, endpoint = "", operation] = address.exec(incoming.path) ?? []
  const decoded = decode(incoming.body.toString("utf8"))
  if (Option.isNone(decoded)) return modelError("the body has neither `messages` nor `inputs` that are understood")
  const sent = decoded.value
  if (isForTgi(sent) && (sent.parameters?.temperature ?? 1) <= 0) {
    return modelError("Input validation error: `temperature` must be strictly positive")
  }
  const prompt = PromptText.textOf("messages" in sent ? sent.messages : sent.inputs)
  const asked: SageMakerAsked = {
    model: decodeURIComponent(endpoint),
    stream: operation === "invocations-response-stream",
    prompt,
    outputTokens: "messages" in sent ? sent.max_tokens : sent.parameters?.max_new_tokens,
    sent
  }
  return asked
}

const isForTgi = (sent: Body): sent is Extract<Body, { readonly inputs: string }> =>
  "inputs" in sent && typeof sent.inputs === "string"

const isOurs = (asked: Asked): asked is SageMakerAsked => "sent" in asked

/** What the container writes, in pieces. */
interface Container {
  readonly contentType: string
  readonly opening: string
  readonly content: (kind: ContentKind, text: string) => string
  readonly finish: (ending: Ending) => string
  readonly ping: string
}

const finishReasons = { length: "length", stop: "stop", tool: "tool_calls" } as const satisfies {
  readonly [R in Reason]: string
}

const usageOf = ({ completionTokens, promptTokens, reasoningTokens }: Ending) => ({
  prompt_tokens: promptTokens,
  completion_tokens: completionTokens,
  total_tokens: promptTokens + completionTokens,
  completion_tokens_details: { reasoning_tokens: reasoningTokens }
})

const toolCall = (fields: object) => ({ tool_calls: [{ index: 0, ...fields }] })

const messages = (identity: Identity, withUsage: boolean): Container => {
  const chunk = (choices: ReadonlyArray<object>, usage?: object): string =>
    `data: ${JSON.stringify({
      id: `chatcmpl-${identity.ordinal}`,
      object: "chat.completion.chunk",
      created: identity.createdSeconds,
      model: identity.model,
      choices,
      ...(usage === undefined ? {} : { usage })
    })}\n\n`
  const choice = (delta: object, reason: string | null = null): string =>
    chunk([{ index: 0, delta, finish_reason: reason }])
  let called = false
  const content = (kind: ContentKind, text: string): string => {
    if (kind === "text") return choice({ content: text })
    if (kind === "reasoning") return choice({ reasoning_content: text })
    const start = called
      ? ""
      : choice(toolCall({ id: "call_1", type: "function", function: { name: "write", arguments: "" } }))
    called = true
    return start + choice(toolCall({ function: { arguments: text } }))
  }
  return {
    contentType: "text/event-stream",
    opening: choice({ role: "assistant", content: "" }),
    content,
    finish: (ending) =>
      choice({}, finishReasons[ending.reason]) + (withUsage ? chunk([], usageOf(ending)) : "") + "data: [DONE]\n\n",
    ping: ": ping\n\n"
  }
}

const tgi = (withDetails: boolean): Container => {
  let generated = ""
  let index = 0
  const line = (token: object, rest: object): string =>
    `data:${JSON.stringify({ index: (index += 1), token: { id: index, logprob: -0.5, special: false, ...token }, ...rest })}\n\n`
  return {
    contentType: "text/event-stream",
    opening: "",
    content: (_kind, text) => {
      generated += text
      return line({ text }, { generated_text: null, details: null })
    },
    finish: ({ completionTokens, promptTokens, reason }) => {
      const details = {
        finish_reason: reason === "length" ? "length" : "eos_token",
        generated_tokens: completionTokens,
        input_length: promptTokens
      }
      return line({ text: "</s>", special: true }, { generated_text: generated, details: withDetails ? details : null })
    },
    ping: ":\n\n"
  }
}

const inJson = (text: string): string => JSON.stringify(text).slice(1, -1)

const jumpstart: Container = {
  contentType: "application/json",
  opening: '[{"generation": {"role": "assistant", "content": "',
  content: (_kind, text) => inJson(text),
  finish: () => '"}}]',
  ping: ""
}

const containerOf = (asked: Asked, identity: Identity): Container => {
  if (!isOurs(asked)) return messages(identity, true)
  const { sent } = asked
  if ("messages" in sent) return messages(identity, sent.stream_options?.include_usage === true)
  return isForTgi(sent) ? tgi(sent.parameters?.details === true) : jumpstart
}

/** Longest piece of a container's output in one frame, in bytes: short, so that lines and characters are cut. */
const partBytes = 100

const parts = (text: string): Buffer => {
  const bytes = Buffer.from(text)
  const pieces: Array<Buffer> = []
  for (let at = 0; at < bytes.length; at += partBytes) {
    pieces.push(
      awsFrames.frame(
        { ":event-type": "PayloadPart", ":content-type": "application/octet-stream", ":message-type": "event" },
        bytes.subarray(at, at + partBytes)
      )
    )
  }
  return Buffer.concat(pieces)
}

const frames = (asked: Asked, identity: Identity): Frames => {
  const container = containerOf(asked, identity)
  return {
    contentType: awsFrames.contentType,
    headers: {
      "x-amzn-invoked-production-variant": "AllTraffic",
      "x-amzn-sagemaker-content-type": container.contentType
    },
    opening: () => parts(container.opening),
    content: (kind, text) => parts(container.content(kind, text)),
    finish: (ending) => parts(container.finish(ending)),
    failure: (_type, message) =>
      awsFrames.exception("ModelStreamError", { ErrorCode: "StreamBroken", Message: message }),
    garbage: () => awsFrames.broken(),
    ping: () => parts(container.ping)
  }
}

const whole = (asked: Asked, identity: Identity, { reasoning, text, tool }: Words, ending: Ending): Answer => {
  const content = reasoning + text + tool
  if (isOurs(asked) && "inputs" in asked.sent) {
    const answer =
      typeof asked.sent.inputs === "string"
        ? { generated_text: content }
        : { generation: { role: "assistant", content } }
    return json(200, JSON.stringify([answer]))
  }
  return json(
    200,
    JSON.stringify({
      id: `chatcmpl-${identity.ordinal}`,
      object: "chat.completion",
      created: identity.createdSeconds,
      model: identity.model,
      choices: [{ index: 0, message: { role: "assistant", content }, finish_reason: finishReasons[ending.reason] }],
      usage: usageOf(ending)
    })
  )
}

export const sageMaker: Dialect = {
  name: "sagemaker",
  matches: (method, path) => method === "POST" && address.test(path),
  read,
  frames,
  whole,
  error,
  expired: () => refusal(403, sigV4Check.expired.type, sigV4Check.expired.message)
}
