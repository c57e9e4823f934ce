import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as awsFrames from "../awsFrames.ts"
import {
  type Asked,
  type ContentKind,
  type Data,
  type Dialect,
  type Ending,
  type ErrorType,
  type Frames,
  type Identity,
  joined,
  type Reason,
  type Words
} from "../dialect.ts"
import * as PromptText from "../../../domain/PromptText.ts"
import { type Answer, json } from "../refusal.ts"
import * as sigV4Check from "../sigV4Check.ts"

/**
 * Converse and ConverseStream of Amazon Bedrock, with signed requests or an API key.
 * https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html
 */

const decode = Schema.decodeUnknownOption(
  Schema.fromJsonString(
    Schema.Struct({
      messages: Schema.NonEmptyArray(
        Schema.Struct({ role: Schema.Literals(["user", "assistant"]), content: Schema.Array(Schema.Unknown) })
      ),
      system: Schema.optionalKey(Schema.Array(Schema.Unknown)),
      inferenceConfig: Schema.optionalKey(
        Schema.Struct({ maxTokens: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThan(0))) })
      )
    })
  )
)

const address = /^\/model\/([^/]+)\/(converse|converse-stream)$/

const refusal = (status: number, type: string, message: string): Answer =>
  json(status, JSON.stringify({ message }), { "x-amzn-errortype": `${type}:http://internal.amazon.com/coral/` })

const errorNames = {
  invalid_request_error: "ValidationException",
  authentication_error: "AccessDeniedException",
  not_found_error: "ResourceNotFoundException",
  rate_limit_error: "ThrottlingException",
  api_error: "InternalServerException",
  overloaded_error: "ServiceUnavailableException"
} as const satisfies { readonly [E in ErrorType]: string }

const error = (status: number, type: ErrorType, message: string): Answer => refusal(status, errorNames[type], message)

const expired = (): Answer => refusal(403, sigV4Check.expired.type, sigV4Check.expired.message)

const read: Dialect["read"] = (incoming) => {
  const bearer = (incoming.headers["authorization"] ?? "").startsWith("Bearer ")
  const refused = bearer ? undefined : sigV4Check.refused(incoming, "bedrock")
  if (refused !== undefined) return refusal(403, refused.type, refused.message)
  const [, model = "", operation] = address.exec(incoming.path) ?? []
  const decoded = decode(incoming.body.toString("utf8"))
  if (Option.isNone(decoded)) {
    return error(400, "invalid_request_error", "The body needs messages with role and a list of content blocks")
  }
  const { inferenceConfig, messages, system } = decoded.value
  const prompt = PromptText.textOf([system, ...messages])
  return {
    model: decodeURIComponent(model),
    stream: operation === "converse-stream",
    prompt,
    outputTokens: inferenceConfig?.maxTokens
  }
}

const stopReasons = { length: "max_tokens", stop: "end_turn", tool: "tool_use" } as const satisfies {
  readonly [R in Reason]: string
}

const usageOf = ({ completionTokens, promptTokens }: Ending) => ({
  inputTokens: promptTokens,
  outputTokens: completionTokens,
  totalTokens: promptTokens + completionTokens,
  cacheReadInputTokens: 0,
  cacheWriteInputTokens: 0
})

const deltaOf = (kind: ContentKind, text: string): object => {
  switch (kind) {
    case "text":
      return { text }
    case "reasoning":
      return { reasoningContent: { text } }
    case "tool":
      return { toolUse: { input: text } }
  }
}

const event = (type: string, payload: object): Data =>
  awsFrames.event(type, JSON.stringify({ ...payload, p: "abcdefgh" }))

const frames = (_asked: Asked, identity: Identity): Frames => {
  let index = -1
  let open: ContentKind | undefined
  const close = (): Data => {
    if (open === undefined) return ""
    open = undefined
    return event("contentBlockStop", { contentBlockIndex: index })
  }
  // Only tools are announced: blocks of text and reasoning begin with their first piece.
  const begin = (kind: ContentKind): Data => {
    const closing = close()
    open = kind
    index += 1
    if (kind !== "tool") return closing
    const toolUse = { toolUseId: `tooluse_${identity.ordinal}`, name: "write" }
    return joined(closing, event("contentBlockStart", { contentBlockIndex: index, start: { toolUse } }))
  }
  return {
    contentType: awsFrames.contentType,
    opening: () => event("messageStart", { role: "assistant" }),
    content: (kind, text) => {
      const before = kind === open ? "" : begin(kind)
      return joined(before, event("contentBlockDelta", { contentBlockIndex: index, delta: deltaOf(kind, text) }))
    },
    finish: (ending) =>
      joined(
        close(),
        event("messageStop", { stopReason: stopReasons[ending.reason] }),
        event("metadata", { usage: usageOf(ending), metrics: { latencyMs: 1 } })
      ),
    failure: (type, message) => {
      const name = errorNames[type]
      return awsFrames.exception(name.charAt(0).toLowerCase() + name.slice(1), { message })
    },
    garbage: () => awsFrames.broken(),
    ping: () => ""
  }
}

const whole = (_asked: Asked, identity: Identity, { reasoning, text, tool }: Words, ending: Ending): Answer => {
  const toolUse = { toolUseId: `tooluse_${identity.ordinal}`, name: "write", input: { text: tool } }
  return json(
    200,
    JSON.stringify({
      output: {
        message: {
          role: "assistant",
          content: [
            ...(reasoning === "" ? [] : [{ reasoningContent: { reasoningText: { text: reasoning } } }]),
            ...(text === "" ? [] : [{ text }]),
            ...(tool === "" ? [] : [{ toolUse }])
          ]
        }
      },
      stopReason: stopReasons[ending.reason],
      usage: usageOf(ending),
      metrics: { latencyMs: 1 }
    })
  )
}

export const bedrock: Dialect = {
  name: "bedrock",
  matches: (method, path) => method === "POST" && address.test(path),
  read,
  frames,
  whole,
  error,
  expired
}
