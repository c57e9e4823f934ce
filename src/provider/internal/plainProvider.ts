import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type * as LlmError from "../../domain/LlmError.ts"
import { type RequestPlan } from "../../domain/RequestPlan.ts"
import { Provider, type Service } from "../Provider.ts"
import { type Format, type HttpRequest, Transport } from "../Transport.ts"
import { type Target } from "./address.ts"

/**
 * What is the same for all requests of an API, and what each is made of. `sign` is run on a request before the transport has
 * it: the time this takes is our own.
 */
export interface Options {
  readonly name: string
  readonly to: Target
  readonly headers: (plan: RequestPlan) => ReadonlyArray<string>
  readonly body: (plan: RequestPlan) => string
  readonly format: Format
  readonly sign?: ((request: HttpRequest) => Effect.Effect<HttpRequest, LlmError.LlmError>) | undefined
}

/** The provider of an API that is asked once for every answer. */
export const make = ({ body, format, headers, name, sign, to }: Options): Effect.Effect<Service, never, Transport> =>
  Effect.map(Transport, (transport) => {
    const request = (plan: RequestPlan): HttpRequest => ({ ...to, headers: headers(plan), body: body(plan) })
    const stream: Service["stream"] =
      sign === undefined
        ? (plan) => transport.stream(() => request(plan), format)
        : (plan) =>
            Stream.unwrap(
              Effect.map(
                Effect.suspend(() => sign(request(plan))),
                (signed) => transport.stream(() => signed, format)
              )
            )
    return Provider.of({ name, origin: to.origin, stream })
  })
