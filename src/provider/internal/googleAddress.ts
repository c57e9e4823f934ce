import * as Effect from "effect/Effect"
import type * as LlmError from "../../domain/LlmError.ts"
import * as Address from "./address.ts"

/** A path that ends in a resource and its method. */
const inFull = /\/(endpoints|models|tunedModels)\/[^/]+(?=:\w+$)/

/**
 * Where a method of a resource is for a base as people write it: `https://host` gets the `version`, any other path is kept as it
 * is, and the full path of a resource takes the place of `resource`. `streamGenerateContent` answers with events only when the
 * query says so, else with a JSON array. Fails with `LlmError` (`Protocol`) when the base is not an http(s) address.
 */
export const target = (
  apiBase: string,
  version: string,
  resource: string,
  method: string
): Effect.Effect<Address.Target, LlmError.LlmError> => {
  const base = Address.parse(apiBase)
  if (base === null) return Address.orFail(null, apiBase)
  const { origin, path, search } = base
  const asked = inFull.test(path) ? path.replace(/:\w+$/, "") : `${path === "" ? `/${version}` : path}/${resource}`
  return Effect.succeed({
    origin,
    path: `${asked}:${method}${method === "streamGenerateContent" ? asEvents(search) : search}`
  })
}

const asEvents = (search: string): string => {
  const params = new URLSearchParams(search)
  if (!params.has("alt")) return `${search === "" ? "?" : `${search}&`}alt=sse`
  params.set("alt", "sse")
  return `?${params.toString()}`
}

/** A name as one segment of a path. Names of versions have an `@`, which may stand as it is. */
export const segment = (name: string): string => encodeURIComponent(name).replaceAll("%40", "@")
