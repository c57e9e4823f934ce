import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { type RequestPlan } from "../../domain/RequestPlan.ts"
import { Provider, type Service } from "../Provider.ts"
import { type Format, type HttpRequest, Transport } from "../Transport.ts"
import { type Target } from "./address.ts"
import { shownUrl } from "./secrets.ts"

/**
 * What is the same for all requests of an API, and what each is made of. `sign` proves who sends a request before the transport has
 * it: the time this takes is our own.
 */
export interface Options {
  readonly name: string
  readonly to: Target
  readonly headers: (plan: RequestPlan) => ReadonlyArray<string>
  readonly body: (plan: RequestPlan) => string
  readonly format: Format
  readonly sign?: Sign | undefined
}

/** Sends a request as often as its credentials make necessary. */
export type Sign = (request: HttpRequest, send: (signed: HttpRequest) => Events) => Events

type Events = ReturnType<Service["stream"]>

/** The provider of an API that is asked once for every answer. */
export const make = ({ body, format, headers, name, sign, to }: Options): Effect.Effect<Service, never, Transport> =>
  Effect.map(Transport, (transport) => {
    const request = (plan: RequestPlan): HttpRequest => ({ ...to, headers: headers(plan), body: body(plan) })
    const stream: Service["stream"] =
      sign === undefined
        ? (plan) => transport.stream(() => request(plan), format)
        : (plan) => Stream.suspend(() => sign(request(plan), (signed) => transport.stream(() => signed, format)))
    return Provider.of({ name, origin: to.origin, url: shownUrl(to), stream })
  })
