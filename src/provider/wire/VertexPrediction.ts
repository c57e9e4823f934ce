/**
 * The answer of a Vertex AI endpoint's `:predict`: one JSON body, whose `predictions` are what the serving container makes
 * them.
 *
 * Format: https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.endpoints/predict. Containers of Model
 * Garden put the prompt before the text, with a line `Output:` between them; others give objects.
 *
 * @since 0.2.0
 */
import * as Schema from "effect/Schema"
import * as LlmError from "../../domain/LlmError.ts"
import { type Usage } from "../../domain/TokenEvent.ts"
import * as Json from "../internal/json.ts"
import * as Limits from "../internal/limits.ts"
import { errorOf } from "./GeminiChunk.ts"
import { type MakeDecoder } from "./StreamDecoder.ts"

/** Where objects hold their text, the likeliest first. */
const textKeys = [
  "content",
  "generated_text",
  "text",
  "output",
  "outputs",
  "predictions",
  "candidates",
  "choices",
  "message"
] as const

/**
 * What a container may give: text, a list of which the first counts, or an object that holds such a thing under a name that
 * is known (`content`, `generated_text`, `text`, `output`, `outputs`, `predictions`, `candidates`, `choices`, `message`).
 *
 * @category models
 * @since 0.2.0
 */
export type Prediction = string | ReadonlyArray<Prediction> | PredictionObject

/**
 * @category models
 * @since 0.2.0
 */
export interface PredictionObject extends Partial<Readonly<Record<(typeof textKeys)[number], Prediction | null>>> {}

const Nested = Schema.optionalKey(Schema.NullOr(Schema.suspend((): Schema.Codec<Prediction> => Prediction)))

/**
 * @category schemas
 * @since 0.2.0
 */
export const Prediction: Schema.Codec<Prediction> = Schema.Union([
  Schema.String,
  Schema.Array(Schema.suspend((): Schema.Codec<Prediction> => Prediction)),
  Schema.Struct({
    content: Nested,
    generated_text: Nested,
    text: Nested,
    output: Nested,
    outputs: Nested,
    predictions: Nested,
    candidates: Nested,
    choices: Nested,
    message: Nested
  })
])

const Count = Schema.optional(Schema.NullOr(Json.Count))
const Total = Schema.optional(Schema.NullOr(Schema.Struct({ totalTokens: Count })))

const TokenMetadata = Schema.Struct({ inputTokenCount: Total, outputTokenCount: Total })

const Metadata = Schema.Struct({ tokenMetadata: Schema.optional(Schema.NullOr(TokenMetadata)) })

/**
 * The parts of an answer that are read. Everything else in it is ignored.
 *
 * @category schemas
 * @since 0.2.0
 */
export const VertexPrediction = Schema.Struct({
  predictions: Prediction,
  metadata: Schema.optional(Schema.NullOr(Metadata))
})

/**
 * @category schemas
 * @since 0.2.0
 */
export type VertexPrediction = typeof VertexPrediction.Type

const separator = "\nOutput:\n"

/**
 * The generated text in a prediction: what follows the line `Output:` where there is one. `undefined` when there is no text
 * in it.
 *
 * @category decoding
 * @since 0.2.0
 */
export const textOf = (prediction: unknown): string | undefined => {
  if (typeof prediction === "string") {
    const at = prediction.indexOf(separator)
    return at < 0 ? prediction : prediction.slice(at + separator.length)
  }
  if (Array.isArray(prediction)) return textOf(prediction[0])
  if (!Json.isObject(prediction)) return undefined
  for (const key of textKeys) {
    const text = textOf(prediction[key])
    if (text !== undefined) return text
  }
  return undefined
}

const totalOf = (count: unknown): number | null => (Json.isObject(count) ? Json.count(count["totalTokens"]) : null)

/** The usage in the metadata, which belong to the container as much as the predictions do and may be anything. */
const usageOf = (metadata: unknown, at: number): Usage | undefined => {
  const tokens = Json.isObject(metadata) ? metadata["tokenMetadata"] : undefined
  if (!Json.isObject(tokens)) return undefined
  return {
    _tag: "Usage",
    at,
    inputTokens: totalOf(tokens["inputTokenCount"]),
    outputTokens: totalOf(tokens["outputTokenCount"]),
    cachedInputTokens: null,
    reasoningTokens: null
  }
}

const shown = (body: string): string => (body.length > 200 ? `${body.slice(0, 200)}…` : body)

/**
 * Makes the decoder of one response, which is read when it is complete: it gives its text as `Whole`.
 *
 * @category constructors
 * @since 0.2.0
 */
export const makeDecoder: MakeDecoder = (out) => {
  const pieces: Array<Buffer> = []
  let arrivedAt = 0
  let length = 0

  return {
    push: (bytes, at) => {
      pieces.push(bytes)
      arrivedAt = at
      return (length += bytes.length) > Limits.maxEventBytes ? Limits.tooLarge("a document") : undefined
    },
    end: () => {
      const body = Buffer.concat(pieces).toString("utf8").trim()
      const value = Json.parse(body)
      if (value === undefined) return Json.failureOf(body, "The answer is not JSON")
      const error = errorOf(value)
      if (error !== undefined) return error
      const answer = Json.isObject(value) ? value : {}
      const text = textOf(answer["predictions"])
      if (text === undefined) {
        return new LlmError.Protocol({ description: `No text was found in the predictions: ${shown(body)}` })
      }
      out.push({ _tag: "Whole", at: arrivedAt, text })
      const usage = usageOf(answer["metadata"], arrivedAt)
      if (usage !== undefined) out.push(usage)
      return undefined
    },
    done: false
  }
}
