/**
 * Asks a server how many tokens a text has, where it offers that: vLLM, SGLang, llama.cpp and Text Generation Inference (TGI) do, with
 * `POST /tokenize` beside their other paths.
 *
 * Formats: vLLM and SGLang take `{model, prompt, add_special_tokens}` and give `{count, tokens}`, llama.cpp takes
 * `{content, add_special}` and gives `{tokens}`, TGI takes `{inputs, add_special_tokens}` and gives a list of tokens with their places
 * in the text. Each overlooks the fields of the others, so that one body does for all.
 *
 * @since 0.2.0
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type * as LlmError from "../domain/LlmError.ts"
import * as Json from "./internal/json.ts"
import { type Format, type HttpRequest, Transport } from "./Transport.ts"
import { type MakeDecoder } from "./wire/StreamDecoder.ts"

/** What stands where `/tokenize` does: with `/v1` or not, in OpenAI's form, in TGI's own or in llama.cpp's. */
const endings = /\/(v1\/)?(chat\/completions|completions|responses|generate_stream|generate|completion)$/

/**
 * Where a server that answers at this path would have its `/tokenize`; `null` where none is known to have one.
 *
 * @category decoding
 * @since 0.2.0
 */
export const pathFor = (path: string): string | null => (endings.test(path) ? path.replace(endings, "/tokenize") : null)

const isCount = (value: unknown): value is number => typeof value === "number" && Number.isInteger(value) && value >= 0

/** A token that is put before a text, such as the mark of its start, has no place in it. */
const isInText = (token: unknown): boolean =>
  !Json.isObject(token) || !("start" in token) || !("stop" in token) || token["start"] !== token["stop"]

/**
 * How many tokens an answer speaks of; `null` when it is none of the known ones.
 *
 * @category decoding
 * @since 0.2.0
 */
export const countOf = (body: string): number | null => {
  const answer = Json.parse(body)
  if (Array.isArray(answer)) return answer.filter(isInText).length
  if (!Json.isObject(answer)) return null
  const { count, tokens } = answer
  return isCount(count) ? count : Array.isArray(tokens) ? tokens.length : null
}

const wholeBody: MakeDecoder = (out) => {
  const parts: Array<Buffer> = []
  return {
    push: (bytes) => {
      parts.push(bytes)
      return undefined
    },
    end: (at) => {
      out.push({ _tag: "Whole", at, text: Buffer.concat(parts).toString("utf8") })
      return undefined
    },
    done: false
  }
}

const format: Format = { makeDecoder: wholeBody, errorOf: () => undefined, accepts: () => true }

/** Those of a request that has another body and another kind of answer. */
const headersOf = (headers: ReadonlyArray<string>): ReadonlyArray<string> =>
  headers.flatMap((name, index) => {
    if (index % 2 === 1) return []
    const value = headers[index + 1] ?? ""
    switch (name.toLowerCase()) {
      case "accept":
        return [name, "application/json"]
      case "content-length":
        return []
      default:
        return [name, value]
    }
  })

/**
 * Asks for the tokens of a text, without special tokens. `like`: a request to the same server, whose origin and headers are used.
 * Gives `null` when the server offers nothing of the kind, and fails when it cannot be asked.
 *
 * @category asking
 * @since 0.2.0
 */
export const count = Effect.fn("TokenizeEndpoint.count")(function* (
  like: HttpRequest,
  model: string,
  text: string
): Effect.fn.Return<number | null, LlmError.LlmError, Transport> {
  const path = pathFor(like.path)
  if (path === null) return null
  const transport = yield* Transport
  const body = JSON.stringify({
    model,
    prompt: text,
    content: text,
    inputs: text,
    add_special_tokens: false,
    add_special: false
  })
  const request: HttpRequest = { ...like, path, headers: headersOf(like.headers), body }
  const events = yield* Stream.runCollect(transport.stream(() => request, format)).pipe(
    Effect.catchIf(isMissing, () => Effect.succeed([]))
  )
  const whole = events.flatMap((event) => (event._tag === "Whole" ? [event.text] : []))
  return countOf(whole.join(""))
})

/** What servers say of a path that they do not have, or of a body that they do not understand. */
const isMissing = ({ reason }: LlmError.LlmError): boolean =>
  reason._tag === "HttpStatus" && [400, 404, 405, 415, 422, 501].includes(reason.status)
