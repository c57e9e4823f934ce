import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import {
  type Asked,
  type Dialect,
  type Ending,
  type ErrorType,
  type Frames,
  type Identity,
  type Reason,
  type Words
} from "../dialect.ts"
import { type Answer, json } from "../refusal.ts"

/**
 * Text Generation Inference of Hugging Face: `/generate_stream`, `/generate`, and `/` for either.
 * https://huggingface.co/docs/text-generation-inference
 */

const optional = <S extends Schema.Top>(schema: S) => Schema.optionalKey(Schema.NullOr(schema))

const decode = Schema.decodeUnknownOption(
  Schema.fromJsonString(
    Schema.Struct({
      inputs: Schema.String,
      /** A server has one model and does not ask for it; here it carries the settings of the request. */
      model: optional(Schema.String),
      stream: optional(Schema.Boolean),
      parameters: optional(
        Schema.Struct({
          max_new_tokens: optional(Schema.Int),
          temperature: optional(Schema.Finite),
          details: optional(Schema.Boolean)
        })
      )
    })
  )
)

/** What is asked for beside the text. */
interface Wishes {
  /** The answer gives its details. */
  readonly details: boolean
  /** A whole answer stands in a list, as that of `/` does. */
  readonly listed: boolean
}

interface TgiAsked extends Asked {
  readonly wishes: Wishes
}

const isTgi = (asked: Asked): asked is TgiAsked => "wishes" in asked

const wishesOf = (asked: Asked): Wishes => (isTgi(asked) ? asked.wishes : { details: true, listed: false })

const errorTypes = {
  invalid_request_error: "validation",
  authentication_error: "authentication",
  not_found_error: "not_found",
  rate_limit_error: "overloaded",
  api_error: "generation",
  overloaded_error: "overloaded"
} as const satisfies { readonly [E in ErrorType]: string }

const errorText = (type: ErrorType, message: string): string =>
  JSON.stringify({ error: message, error_type: errorTypes[type] })

/** Requests that are not understood are unprocessable (422) here. */
const error = (status: number, type: ErrorType, message: string): Answer =>
  json(status === 400 ? 422 : status, errorText(type, message))

const unprocessable = (message: string): Answer =>
  error(422, "invalid_request_error", `Input validation error: ${message}`)

const read: Dialect["read"] = ({ body, path }) => {
  const decoded = decode(body.toString("utf8"))
  if (Option.isNone(decoded)) return unprocessable("the body needs `inputs`, a text, and may have `parameters`")
  const { inputs, model, parameters, stream } = decoded.value
  if (inputs === "") return unprocessable("`inputs` cannot be empty")
  const limit = parameters?.max_new_tokens ?? undefined
  if (limit !== undefined && limit <= 0) return unprocessable("`max_new_tokens` must be strictly positive")
  const temperature = parameters?.temperature ?? undefined
  if (temperature !== undefined && temperature <= 0) return unprocessable("`temperature` must be strictly positive")
  const asked: TgiAsked = {
    model: model ?? "tgi",
    stream: path === "/generate_stream" || (path === "/" && stream === true),
    prompt: inputs,
    outputTokens: limit,
    wishes: { details: parameters?.details === true, listed: path === "/" }
  }
  return asked
}

const finishReasons = { length: "length", stop: "eos_token", tool: "eos_token" } as const satisfies {
  readonly [R in Reason]: string
}

const detailsOf = ({ completionTokens, reason }: Ending) => ({
  finish_reason: finishReasons[reason],
  generated_tokens: completionTokens,
  seed: null
})

const event = (value: string): string => `data:${value}\n\n`

const frames = (asked: Asked, _identity: Identity): Frames => {
  const { details } = wishesOf(asked)
  let index = 0
  let generated = ""
  const token = (text: string, special: boolean, rest: object): string => {
    index += 1
    return event(
      JSON.stringify({ index, token: { id: special ? 2 : 1000 + index, text, logprob: -0.5, special }, ...rest })
    )
  }
  return {
    contentType: "text/event-stream",
    opening: () => "",
    // There is no other kind of content than text.
    content: (_kind, text) => {
      generated += text
      return token(text, false, { generated_text: null, details: null })
    },
    // The end of a text is a token; where it only ran into its limit, the last event has no text left.
    finish: (ending) => {
      const stopped = ending.reason !== "length"
      return token(stopped ? "</s>" : "", stopped, {
        generated_text: generated,
        details: details ? { ...detailsOf(ending), input_length: ending.promptTokens } : null
      })
    },
    failure: (type, message) => event(errorText(type, message)),
    garbage: () => event("{not json"),
    ping: () => ":\n\n"
  }
}

const whole = (asked: Asked, _identity: Identity, { reasoning, text, tool }: Words, ending: Ending): Answer => {
  const { details, listed } = wishesOf(asked)
  const answer = {
    generated_text: reasoning + text + tool,
    ...(details ? { details: { ...detailsOf(ending), prefill: [], tokens: [] } } : {})
  }
  return json(200, JSON.stringify(listed ? [answer] : answer))
}

const paths: ReadonlySet<string> = new Set(["/generate_stream", "/generate", "/"])

export const tgi: Dialect = {
  name: "tgi",
  matches: (method, path) => method === "POST" && paths.has(path),
  read,
  frames,
  whole,
  error
}
