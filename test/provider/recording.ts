import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as LlmError from "../../src/domain/LlmError.ts"
import { type TokenEvent } from "../../src/domain/TokenEvent.ts"
import { Provider } from "../../src/provider/Provider.ts"
import { type Format, type HttpRequest, Transport } from "../../src/provider/Transport.ts"
import { EventBuffer } from "../../src/provider/wire/EventBuffer.ts"
import { collect, plan } from "./asking.ts"

export const good: Stream.Stream<TokenEvent, LlmError.LlmError> = Stream.fromIterable<TokenEvent>([
  { _tag: "Sent", at: 1, connection: null },
  { _tag: "Ended", at: 2 }
])

export const refusal = (status: number, body: string): Stream.Stream<TokenEvent, LlmError.LlmError> =>
  Stream.fail(LlmError.fromReason(new LlmError.HttpStatus({ status, body, retryAfterSeconds: null })))

/** A transport that keeps the requests and answers as told; a good answer begins its decoder, as a real one does. */
export const recording = (
  answer: (request: HttpRequest) => Stream.Stream<TokenEvent, LlmError.LlmError> = () => good
) => {
  const requests: Array<HttpRequest> = []
  const formats: Array<Format> = []
  const layer = Layer.succeed(Transport, {
    stream: (makeRequest, format: Format) =>
      Stream.suspend(() => {
        const request = makeRequest()
        requests.push(request)
        formats.push(format)
        const events = answer(request)
        if (events === good) format.makeDecoder(new EventBuffer())
        return events
      }),
    openConnections: () => Effect.succeed(0)
  })
  return { requests, formats, layer }
}

export const bodyOf = (request: HttpRequest | undefined): unknown => JSON.parse(request?.body ?? "null")

export const headersOf = (request: HttpRequest | undefined): ReadonlyArray<readonly [string, string]> => {
  const flat = request?.headers ?? []
  return Array.from({ length: flat.length / 2 }, (_, i) => [flat[2 * i] ?? "", flat[2 * i + 1] ?? ""] as const)
}

export const urlOf = (request: HttpRequest | undefined): string => `${request?.origin}${request?.path}`

type Variables = { readonly [name: string]: string }

export const environment = (variables: Variables) => ConfigProvider.layer(ConfigProvider.fromEnvRecord(variables))

/** The request that the provider of a layer sends, in an environment with nothing but these variables. */
export const requestOf = <E>(layer: Layer.Layer<Provider, E, Transport>, variables: Variables) => {
  const { layer: transport, requests } = recording()
  return Effect.gen(function* () {
    yield* collect((yield* Provider).stream(plan))
    return requests[0]
  }).pipe(Effect.provide(layer.pipe(Layer.provide([transport, environment(variables)]))))
}

/** The error with which a layer fails in an environment with nothing but these variables. */
export const failureOf = <E>(layer: Layer.Layer<Provider, E, Transport>, variables: Variables) =>
  Effect.flip(Effect.scoped(Layer.build(layer))).pipe(Effect.provide([recording().layer, environment(variables)]))
