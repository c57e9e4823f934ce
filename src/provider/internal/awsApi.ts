import * as Clock from "effect/Clock"
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as LlmError from "../../domain/LlmError.ts"
import { type TokenEvent } from "../../domain/TokenEvent.ts"
import type * as AwsCredentials from "../AwsCredentials.ts"
import { type Format, type HttpRequest, type Transport } from "../Transport.ts"
import * as Variables from "./variables.ts"
import * as Secrets from "./secrets.ts"

/** The region that was given or is set; LLMPerf's variable comes first. */
export const region = (given: string | undefined): Effect.Effect<string, LlmError.LlmError | Config.ConfigError> =>
  Variables.givenOr(
    given,
    ["AWS_REGION_NAME", "AWS_REGION", "AWS_DEFAULT_REGION"],
    "the region of the endpoint, such as us-east-1 (or AWS_REGION)"
  )

/** The host of a service in a region. */
export const regionalBase = (prefix: string, inRegion: string): string =>
  `https://${prefix}.${inRegion}.amazonaws.com${inRegion.startsWith("cn-") ? ".cn" : ""}`

/** Where requests go. Fails with `LlmError` (`Protocol`) when the base is not an address. */
export const target = (
  apiBase: string,
  path: string
): Effect.Effect<{ readonly origin: string; readonly path: string }, LlmError.LlmError> => {
  const url = URL.canParse(apiBase) ? new URL(apiBase) : null
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:")) {
    return Effect.fail(
      LlmError.fromReason(
        new LlmError.Protocol({
          description: `The API base is not an http(s) address: ${Secrets.shownAddress(apiBase)}`
        })
      )
    )
  }
  return Effect.succeed({ origin: url.origin, path: `${url.pathname.replace(/\/+$/, "")}${path}` })
}

/** The packages for signatures and frames; loaded when an adapter is made. */
export const sdk = Effect.promise(() => import("./awsSdk.ts"))

/** What signs requests to a service. */
export const signing = Effect.fn("awsApi.signing")(function* (
  service: string,
  inRegion: string,
  credentials: AwsCredentials.Source
) {
  const { sign } = yield* sdk
  const clock = yield* Clock.Clock
  const now = () => Math.floor(clock.currentTimeMillisUnsafe() / 1_000)
  return (request: HttpRequest): Effect.Effect<HttpRequest, LlmError.LlmError> =>
    Effect.flatMap(credentials.current, (found) => sign(request, { service, region: inRegion }, found, now()))
})

/** Makes the request and signs it when run, before the transport has it: the time this takes is our own. */
export const signedStream = (
  transport: Transport["Service"],
  sign: (request: HttpRequest) => Effect.Effect<HttpRequest, LlmError.LlmError>,
  makeRequest: () => HttpRequest,
  format: Format
): Stream.Stream<TokenEvent, LlmError.LlmError> =>
  Stream.unwrap(
    Effect.map(
      Effect.suspend(() => sign(makeRequest())),
      (request) => transport.stream(() => request, format)
    )
  )
