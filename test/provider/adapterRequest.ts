import { assert } from "@effect/vitest"
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { type RequestPlan } from "../../src/domain/RequestPlan.ts"
import type * as LlmError from "../../src/domain/LlmError.ts"
import { Provider, type Service } from "../../src/provider/Provider.ts"
import { type Format, type Transport } from "../../src/provider/Transport.ts"
import { collect, plan } from "./asking.ts"
import { bodyOf, environment, headersOf, recording, urlOf } from "./recording.ts"

/** What an adapter makes of a plan: its request, and how it would read the answer. */

/** What the test sees of a request. */
export interface Seen {
  readonly provider: Service
  readonly url: string
  readonly headers: ReadonlyArray<readonly [name: string, value: string]>
  readonly body: unknown
  readonly format: Format
}

const seen = (provider: Service, { formats, requests }: ReturnType<typeof recording>): Seen => {
  assert.strictEqual(requests.length, 1)
  const [request] = requests
  const [format] = formats
  assert.isDefined(request)
  assert.isDefined(format)
  return { provider, url: urlOf(request), headers: headersOf(request), body: bodyOf(request), format }
}

/** The request that a provider makes of a plan. */
export const requestOf = <E>(
  make: Effect.Effect<Service, E, Transport>,
  overrides: Partial<RequestPlan> = {}
): Effect.Effect<Seen, E> => {
  const recorded = recording()
  return Effect.gen(function* () {
    const provider = yield* make
    assert.isUndefined((yield* collect(provider.stream({ ...plan, ...overrides }))).error)
    return seen(provider, recorded)
  }).pipe(Effect.provide(recorded.layer))
}

type Configured = Layer.Layer<Provider, LlmError.LlmError | Config.ConfigError, Transport>

/** The same for a layer that reads its variables. */
export const configuredRequest = (layer: Configured, variables: { readonly [name: string]: string }) =>
  requestOf(
    Effect.gen(function* () {
      return yield* Provider
    }).pipe(Effect.provide(layer))
  ).pipe(Effect.provide(environment(variables)))

/** The variable that a layer says is missing. */
export const missingVariable = (layer: Configured, variables: { readonly [name: string]: string }) =>
  Effect.gen(function* () {
    const recorded = recording()
    const error = yield* Effect.flip(Effect.scoped(Layer.build(layer))).pipe(
      Effect.provide([recorded.layer, environment(variables)])
    )
    assert.deepStrictEqual(recorded.requests, [])
    assert.strictEqual(error._tag, "LlmError")
    if (error._tag !== "LlmError" || error.reason._tag !== "MissingCredential") return undefined
    assert.match(error.message, new RegExp(`^${error.reason.variable} must be set: `))
    return error.reason.variable
  })
