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

const isNamed = (value: unknown): value is Named<unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value)
