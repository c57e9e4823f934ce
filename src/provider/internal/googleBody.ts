import { type RequestPlan } from "../../domain/RequestPlan.ts"
import { type RequestOptions } from "../RequestOptions.ts"

type Named = { readonly [name: string]: unknown }

const isNamed = (value: unknown): value is Named => typeof value === "object" && value !== null && !Array.isArray(value)

/** Later ones win; what is `null` at the top is left out of the JSON. */
const merged = (...parts: ReadonlyArray<Named>): Named => {
  const all: { [name: string]: unknown } = Object.assign({}, ...parts)
  for (const name of Object.keys(all)) if (all[name] === null) delete all[name]
  return all
}

/** OpenAI's names of what Google has in `generationConfig`. */
const configNames: { readonly [name: string]: string } = {
  max_tokens: "maxOutputTokens",
  max_completion_tokens: "maxOutputTokens",
  max_new_tokens: "maxOutputTokens",
  temperature: "temperature",
  top_p: "topP",
  top_k: "topK",
  stop: "stopSequences",
  seed: "seed",
  n: "candidateCount",
  presence_penalty: "presencePenalty",
  frequency_penalty: "frequencyPenalty"
}

/**
 * The body of `generateContent`. Sampling parameters with OpenAI's names go into `generationConfig`, all others to the top
 * as they are; a `generationConfig` among them goes over what is there.
 */
export const generateContent = ({
  samplingParams = {}
}: Pick<RequestOptions, "samplingParams">): ((plan: RequestPlan) => string) => {
  const named: { [name: string]: unknown } = {}
  const top: { [name: string]: unknown } = {}
  for (const [name, value] of Object.entries(samplingParams)) {
    const known = Object.hasOwn(configNames, name) ? configNames[name] : undefined
    if (known === undefined) top[name] = value
    else named[known] = name === "stop" && typeof value === "string" ? [value] : value
  }
  const given = top["generationConfig"]
  const over = isNamed(given) ? given : {}
  if (isNamed(given)) delete top["generationConfig"]
  return ({ outputTokens, prompt }) =>
    JSON.stringify(
      merged(
        {
          contents: [{ role: "user", parts: [{ text: prompt }] }],
          generationConfig: merged({ maxOutputTokens: outputTokens }, named, over)
        },
        top
      )
    )
}

/** The names under which a limit of tokens is asked for; `parameters` has its own. */
const limitNames = new Set(["max_tokens", "max_new_tokens"])

/**
 * The body of an endpoint's `:predict`. Containers differ in where they look for parameters: those of Model Garden in the
 * instance, under OpenAI's names, others in `parameters`. So the sampling parameters are in both, and in `parameters` the
 * limit of tokens is called `maxOutputTokens`.
 */
export const predict = ({
  samplingParams = {}
}: Pick<RequestOptions, "samplingParams">): ((plan: RequestPlan) => string) => {
  const parameters: { [name: string]: unknown } = {}
  for (const [name, value] of Object.entries(samplingParams)) {
    parameters[limitNames.has(name) ? "maxOutputTokens" : name] = value
  }
  return ({ outputTokens, prompt }) =>
    JSON.stringify({
      instances: [merged({ prompt, max_tokens: outputTokens }, samplingParams)],
      parameters: merged({ maxOutputTokens: outputTokens }, parameters)
    })
}
