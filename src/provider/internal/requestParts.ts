import { type RequestPlan } from "../../domain/RequestPlan.ts"
import { type RequestOptions } from "../RequestOptions.ts"

interface Named<A> {
  readonly [name: string]: A
}

const lowerCased = (headers: Named<string>): Named<string> =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))

/**
 * The headers of a request, name and value by turns: JSON, what is accepted, our name, the adapter's `own` (names in lower
 * case), the user's over all of these, and the id of the request unless the user sends one himself.
 */
export const headers = (
  options: RequestOptions,
  accept: string,
  own: Named<string> = {}
): ((plan: RequestPlan) => ReadonlyArray<string>) => {
  const users = lowerCased(options.headers ?? {})
  const all = { "content-type": "application/json", accept, "user-agent": "llmperf", ...own, ...users }
  const flat = Object.entries(all).flat()
  const { requestId } = options
  if (!requestId || Object.hasOwn(users, requestId.header.toLowerCase())) return () => flat
  return (plan) => [...flat, requestId.header, requestId.of(plan)]
}

/**
 * The body of a request as JSON: the adapter's fields, and the user's sampling parameters over them. `at` names the object
 * among the fields that takes the parameters, where they do not stand at the top.
 */
export const body = (options: RequestOptions, at?: string): ((fields: Named<unknown>) => string) => {
  const params = options.samplingParams ?? {}
  const removed = Object.entries(params).flatMap(([name, value]) => (value === null ? [name] : []))
  const merged = (fields: Named<unknown>): Named<unknown> => {
    const all: { [name: string]: unknown } = { ...fields, ...params }
    for (const name of removed) delete all[name]
    return all
  }
  if (at === undefined) return (fields) => JSON.stringify(merged(fields))
  return (fields) => {
    const inner = fields[at]
    return JSON.stringify({ ...fields, [at]: merged(isNamed(inner) ? inner : {}) })
  }
}

/**
 * The same parameters under the names of TGI: a limit of tokens is `max_new_tokens`. It takes no temperature of 0; what is meant
 * is the most likely token, and that is what it takes without one.
 */
export const forTgi = (params: RequestOptions["samplingParams"]): Named<unknown> => {
  const { temperature, ...rest } = withNewTokens(params)
  return temperature === undefined || temperature === 0 ? rest : { ...rest, temperature }
}

/** Containers that came before OpenAI's API call the limit of tokens by another name than LLMPerf's users. */
export const withNewTokens = (params: RequestOptions["samplingParams"]): Named<unknown> => {
  const { max_tokens, ...rest } = params ?? {}
  return max_tokens === undefined ? rest : { max_new_tokens: max_tokens, ...rest }
}

const isNamed = (value: unknown): value is Named<unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value)
