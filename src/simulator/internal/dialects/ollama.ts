import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import {
  type Asked,
  type ContentKind,
  type Dialect,
  type Ending,
  type Frames,
  type Identity,
  type Words
} from "../dialect.ts"
import * as PromptText from "../../../domain/PromptText.ts"
import { json } from "../refusal.ts"

/** Ollama's own API: lines of JSON. https://github.com/ollama/ollama/blob/main/docs/api.md */

const optional = <S extends Schema.Top>(schema: S) => Schema.optionalKey(Schema.NullOr(schema))

const common = {
  model: Schema.String.check(Schema.isNonEmpty()),
  /** On when it is left out. */
  stream: optional(Schema.Boolean),
  /** -1 and -2 are for no limit and as much as there is room for. */
  options: optional(Schema.Struct({ num_predict: optional(Schema.Int) }))
}
const decodeChat = Schema.decodeUnknownOption(
  Schema.fromJsonString(
    Schema.Struct({ ...common, messages: Schema.Array(Schema.Struct({ content: optional(Schema.String) })) })
  )
)
const decodeGenerate = Schema.decodeUnknownOption(
  Schema.fromJsonString(Schema.Struct({ ...common, prompt: optional(Schema.String), system: optional(Schema.String) }))
)

const errorText = (message: string): string => JSON.stringify({ error: message })

const error: Dialect["error"] = (status, _type, message) => json(status, errorText(message))

const line = (value: object): string => `${JSON.stringify(value)}\n`

const reasons = { length: "length", stop: "stop", tool: "stop" } as const

const headOf = (identity: Identity) => ({
  model: identity.model,
  created_at: DateTime.formatIso(DateTime.makeUnsafe(identity.createdSeconds * 1000))
})

const doneOf = (ending: Ending) => ({
  done: true,
  done_reason: reasons[ending.reason],
  prompt_eval_count: ending.promptTokens,
  eval_count: ending.completionTokens
})

const toolCalls = (identity: Identity, text: string) => ({
  tool_calls: [{ id: `call_${identity.ordinal}`, function: { index: 0, name: "write", arguments: { text } } }]
})

/** The two endpoints differ in where the prompt and the answer are. Only a chat has tools. */
interface Endpoint {
  readonly name: string
  readonly path: string
  readonly ask: (body: string) => Option.Option<Asked>
  readonly say: (words: Words, identity: Identity) => object
}

const askedOf = ({ model, options, stream }: Schema.Struct.Type<typeof common>, prompt: string): Asked => {
  const limit = options?.num_predict ?? 0
  return {
    model,
    stream: stream !== false,
    prompt,
    outputTokens: limit > 0 ? limit : undefined
  }
}

const chat: Endpoint = {
  name: "ollama-chat",
  path: "/api/chat",
  ask: (body) => Option.map(decodeChat(body), (read) => askedOf(read, PromptText.textOf(read.messages))),
  say: ({ reasoning, text, tool }, identity) => ({
    message: {
      role: "assistant",
      content: text,
      ...(reasoning === "" ? {} : { thinking: reasoning }),
      ...(tool === "" ? {} : toolCalls(identity, tool))
    }
  })
}

const generate: Endpoint = {
  name: "ollama-generate",
  path: "/api/generate",
  ask: (body) =>
    Option.map(decodeGenerate(body), (read) => askedOf(read, PromptText.textOf([read.system, read.prompt]))),
  say: ({ reasoning, text, tool }) => ({
    response: text + tool,
    ...(reasoning === "" ? {} : { thinking: reasoning })
  })
}

const silence: Words = { text: "", reasoning: "", tool: "" }

const framesOf =
  (endpoint: Endpoint) =>
  (_asked: Asked, identity: Identity): Frames => {
    const head = headOf(identity)
    /** The server hands out calls of tools when they are complete. */
    let call = ""
    const say = (kind: ContentKind, text: string): string =>
      line({ ...head, ...endpoint.say({ ...silence, [kind]: text }, identity), done: false })
    return {
      contentType: "application/x-ndjson",
      opening: () => "",
      content: (kind, text) => {
        if (kind !== "tool" || endpoint !== chat) return say(kind, text)
        call += text
        return ""
      },
      finish: (ending) =>
        (call === "" ? "" : say("tool", call)) +
        line({ ...head, ...endpoint.say(silence, identity), ...doneOf(ending) }),
      failure: (_type, message) => `${errorText(message)}\n`,
      garbage: () => "{not json\n",
      ping: () => ""
    }
  }

const make = (endpoint: Endpoint): Dialect => ({
  name: endpoint.name,
  matches: (method, path) => method === "POST" && path === endpoint.path,
  read: ({ body }) =>
    Option.getOrElse(endpoint.ask(body.toString("utf8")), () =>
      error(400, "invalid_request_error", "model is required, with messages for a chat and a prompt else")
    ),
  frames: framesOf(endpoint),
  whole: (_asked, identity, words, ending) =>
    json(200, JSON.stringify({ ...headOf(identity), ...endpoint.say(words, identity), ...doneOf(ending) })),
  error
})

export const ollamaChat = make(chat)

export const ollamaGenerate = make(generate)
