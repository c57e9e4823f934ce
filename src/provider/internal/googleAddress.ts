import * as Effect from "effect/Effect"
import type * as LlmError from "../../domain/LlmError.ts"
import * as Address from "./address.ts"

/**
 * Where a resource is for a base as people write it: `https://host` gets the `version`, any other path is kept as it is.
 * With `asEvents` the answer streams as events, which are otherwise a JSON array. Fails with `LlmError` (`Protocol`) when the
 * base is not an http(s) address.
 */
export const target = (
  apiBase: string,
  version: string,
  resource: string,
  asEvents: boolean
): Effect.Effect<Address.Target, LlmError.LlmError> => {
  const base = Address.parse(apiBase)
  if (base === null) return Address.orFail(null, apiBase)
  const prefix = base.path === "" ? `/${version}` : base.path
  const search = !asEvents ? base.search : base.search === "" ? "?alt=sse" : `${base.search}&alt=sse`
  return Effect.succeed({ origin: base.origin, path: `${prefix}/${resource}${search}` })
}

/** A name as one segment of a path. Names of versions have an `@`, which may stand as it is. */
export const segment = (name: string): string => encodeURIComponent(name).replaceAll("%40", "@")
