/**
 * What containers behind SageMaker endpoints put into the payload parts of a response stream.
 *
 * SageMaker passes on the bytes of the container as they come, so a line or a character may begin in one part and end in
 * the next. Formats: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpointWithResponseStream.html,
 * for `tgi` https://huggingface.github.io/text-generation-inference (`/generate_stream`), for `jumpstart` the JSON document
 * of JumpStart's Llama 2 chat containers.
 *
 * @since 0.2.0
 */
import * as LlmError from "../../domain/LlmError.ts"
import * as Json from "../internal/json.ts"
import * as Limits from "../internal/limits.ts"
import { Recognition } from "../internal/recognition.ts"
import * as AwsEventStream from "./AwsEventStream.ts"
import { type EventBuffer } from "./EventBuffer.ts"
import * as OpenAiChunk from "./OpenAiChunk.ts"
import { type MakeDecoder, type StreamDecoder } from "./StreamDecoder.ts"
import * as TgiEvent from "./TgiEvent.ts"

/**
 * - `messages`: chunks of OpenAI's chat API as server-sent events (vLLM, LMI and TGI containers)
 * - `tgi`: a JSON object a token and line, with or without `data:` before it (TGI, and LMI's own schema)
 * - `jumpstart`: one JSON document, `[{"generation": {"content": …}}]`. It cannot be read before it is whole: wherever
 *   it is cut, its pieces are no tokens, so the text is told as `Whole`, without a first token and without gaps
 *
 * @category models
 * @since 0.2.0
 */
export type Style = "messages" | "tgi" | "jumpstart"

/**
 * Lines of bare JSON as server-sent events. The bytes are taken as Latin-1, so that characters may be cut.
 */
const asEvents = (decoder: StreamDecoder): StreamDecoder => {
  let atLineStart = true
  return {
    push: (bytes, at) => {
      let events = ""
      for (const line of bytes.toString("latin1").split(/(?<=\n)/)) {
        if (atLineStart && line.trim() === "") continue
        const ends = line.endsWith("\n")
        events += `${atLineStart ? "data:" : ""}${line}${ends ? "\n" : ""}`
        atLineStart = ends
      }
      return events === "" ? undefined : decoder.push(Buffer.from(events, "latin1"), at)
    },
    end: (at) => decoder.end(at),
    get done() {
      return decoder.done
    }
  }
}

/** The text of a document: JumpStart's, TGI's for a request that does not stream, or a chat completion. */
const documentText = (value: unknown): string | undefined => {
  const first: unknown = Array.isArray(value) ? value[0] : value
  if (!Json.isObject(first)) return undefined
  const { choices, generated_text, generation } = first
  if (typeof generated_text === "string") return generated_text
  if (typeof generation === "string") return generation
  if (Json.isObject(generation)) return contentOf(generation)
  const choice: unknown = Array.isArray(choices) ? choices[0] : undefined
  if (!Json.isObject(choice) || !Json.isObject(choice["message"])) return undefined
  return contentOf(choice["message"])
}

/** Of a message that may call tools and say nothing; `undefined` when it is no message at all. */
const contentOf = (message: Json.JsonObject): string | undefined =>
  "content" in message || "tool_calls" in message ? (Json.text(message["content"]) ?? "") : undefined

const wholeDocument = (out: EventBuffer): StreamDecoder => {
  const utf8 = new TextDecoder()
  const texts: Array<string> = []
  let last = 0
  let length = 0
  return {
    push: (bytes, at) => {
      texts.push(utf8.decode(bytes, { stream: true }))
      last = at
      return (length += bytes.length) > Limits.maxEventBytes ? Limits.tooLarge("a document") : undefined
    },
    end: () => {
      const text = (texts.join("") + utf8.decode()).trim()
      const value = Json.parse(text)
      if (value === undefined) {
        return text === "" || /^[[{]/.test(text)
          ? new LlmError.Truncated({ description: "the stream ended in the middle of the JSON document" })
          : Json.failureOf(text, "The answer is not JSON")
      }
      const failure = TgiEvent.errorOf(value)
      if (failure !== undefined) return failure
      const content = documentText(value)
      if (content === undefined) {
        return new LlmError.Protocol({
          description: `The answer has no text where one should be: ${text.slice(0, 200)}`
        })
      }
      out.push({ _tag: "Whole", at: last, text: content })
      // A chat completion tells its usage and why it ended as the last chunk of a stream does.
      return Json.isObject(value) ? OpenAiChunk.decode(value, last, out).failure : undefined
    },
    done: false
  }
}

const firstByte = (bytes: Buffer): string => bytes.toString("latin1").trimStart().charAt(0)

/** Which decoder an answer needs: a container that does not stream answers with a document in any style. */
const innerOf = (style: Style, first: string, out: EventBuffer): StreamDecoder => {
  switch (style) {
    case "messages":
      return first === "{" || first === "[" ? wholeDocument(out) : OpenAiChunk.makeDecoder(out)
    case "tgi":
      if (first === "[") return wholeDocument(out)
      return first === "{" ? asEvents(TgiEvent.makeDecoder(out)) : TgiEvent.makeDecoder(out)
    case "jumpstart":
      return wholeDocument(out)
  }
}

/** As much of an answer as it takes to see its style. */
const longestBeginning = 1_024

/** By what the first event or document of a style is known. */
const beginnings: ReadonlyArray<readonly [Style, RegExp]> = [
  ["jumpstart", /^\[?\s*\{\s*"generation"\s*:/],
  ["tgi", /^(data:\s*)?\{[^\n]*"token"\s*:\s*\{/],
  ["messages", /^data:\s*\{[^\n]*"choices"\s*:\s*\[/]
]

const styleOf = (beginning: string): Style | undefined =>
  beginnings.find(([, known]) => known.test(beginning.trimStart()))?.[0]

/** A failure to read an answer, or that the answer is in another style than the one it was read in. */
const named = (reason: LlmError.Reason | undefined, style: Style, beginning: string): LlmError.Reason | undefined => {
  if (reason?._tag !== "Truncated" && reason?._tag !== "Protocol") return reason
  const spoken = styleOf(beginning)
  if (spoken === undefined || spoken === style) return reason
  return new LlmError.Protocol({
    description: `The container answers in the payload style ${spoken}, not ${style}: use --payload-style ${spoken}`
  })
}

/**
 * Makes decoders of an endpoint's response streams out of a codec of their frames and the style of their payload. An
 * answer in one JSON document where a stream was expected is told as `Whole` too; one in another style is told as such
 * (`Protocol`).
 *
 * @category constructors
 * @since 0.2.0
 */
export const makeDecoder =
  (codec: AwsEventStream.Codec, style: Style): MakeDecoder =>
  (out) => {
    let inner: StreamDecoder | undefined
    let beginning = ""
    const recognition = new Recognition("PayloadPart of a SageMaker endpoint", "--llm-api")
    return AwsEventStream.make(codec, {
      onEvent: (type, payload, at) => {
        recognition.add(type === "PayloadPart", undefined, payload.toString("latin1", 0, longestBeginning), type)
        if (type !== "PayloadPart") return undefined
        if (inner === undefined) {
          const first = firstByte(payload)
          if (first === "") return undefined
          inner = innerOf(style, first, out)
        }
        if (beginning.length < longestBeginning) beginning += payload.toString("latin1", 0, longestBeginning)
        return named(inner.push(payload, at), style, beginning)
      },
      atEnd: (at) =>
        inner === undefined
          ? (recognition.reason(false) ??
            new LlmError.Truncated({ description: "the stream ended without any payload" }))
          : named(inner.end(at), style, beginning),
      isDone: () => inner?.done === true
    })
  }
