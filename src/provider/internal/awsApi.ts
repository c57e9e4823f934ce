import * as Clock from "effect/Clock"
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type * as LlmError from "../../domain/LlmError.ts"
import type * as AwsCredentials from "../AwsCredentials.ts"
import { type Format } from "../Transport.ts"
import * as AwsEventStream from "../wire/AwsEventStream.ts"
import { type MakeDecoder } from "../wire/StreamDecoder.ts"
import * as Address from "./address.ts"
import * as AwsProfile from "./awsProfile.ts"
import { type Sign } from "./plainProvider.ts"
import * as Renewal from "./renewal.ts"
import * as Variables from "./variables.ts"

/**
 * `name`: in signatures; `host`: how its hosts begin; `resource` and `operation`: stand in paths before and behind what is asked;
 * `variable`: holds another address
 */
export interface Service {
  readonly name: string
  readonly host: string
  readonly resource: string
  readonly operation: string
  readonly variable: string
}

interface Place {
  readonly region: string
  readonly apiBase?: string | undefined
}

/** The host of a service in a region. */
const regionalBase = ({ host }: Service, region: string): string =>
  `https://${host}.${region}.amazonaws.com${region.startsWith("cn-") ? ".cn" : ""}`

/** The region and the address that were given or are set; LLMPerf's variable of the region comes first, the profile's region last. */
export const place = Effect.fnUntraced(function* (
  given: Partial<Place>,
  service: Service
): Effect.fn.Return<Required<Place>, LlmError.LlmError | Config.ConfigError> {
  const names = ["AWS_REGION_NAME", "AWS_REGION", "AWS_DEFAULT_REGION"] as const
  const set = given.region ?? Option.getOrUndefined(yield* Variables.text(names))
  const region = yield* Variables.givenOr(
    set ?? (yield* AwsProfile.region),
    names,
    "the region of the endpoint, such as us-east-1 (or AWS_REGION, or the region of the profile in ~/.aws/config)"
  )
  const addresses = [service.variable, "AWS_ENDPOINT_URL"] as const
  const apiBase = yield* Variables.base(given.apiBase, addresses, { fallback: regionalBase(service, region) })
  return { region, apiBase }
})

/**
 * Where requests for `name` go. A base that is the full path of one says itself what is asked. Fails with `LlmError`
 * (`Protocol`) when the base is not an address.
 */
export const target = (
  { apiBase, region }: Place,
  name: string,
  service: Service
): Effect.Effect<Address.Target, LlmError.LlmError> => {
  const base = apiBase ?? regionalBase(service, region)
  const address = Address.parse(base)
  if (address === null) return Address.orFail(null, base)
  const { origin, path, search } = address
  const { operation, resource } = service
  const given = new RegExp(`^.*/${resource}/[^/]+(?=/(converse|invocations)[^/]*$)`).exec(path)?.[0]
  const asked = given ?? `${path}/${resource}/${encodeURIComponent(name)}`
  return Effect.succeed({ origin, path: `${asked}/${operation}${search}` })
}

/** The packages for signatures and frames; loaded when an adapter is made. */
const sdk = Effect.promise(() => import("./awsSdk.ts"))

/** Answers as event streams. */
export const format = (makeDecoder: (codec: AwsEventStream.Codec) => MakeDecoder): Effect.Effect<Format> =>
  Effect.map(sdk, ({ codec }) => ({
    makeDecoder: makeDecoder(codec),
    errorOf: AwsEventStream.errorOf,
    accepts: AwsEventStream.accepts
  }))

/** What AWS says of temporary credentials that have expired or were revoked. */
const rejected = /ExpiredToken|UnrecognizedClient|InvalidClientTokenId|credentials have expired/

const isRejected = ({ reason }: LlmError.LlmError): boolean =>
  reason._tag === "HttpStatus" &&
  (reason.status === 401 || ((reason.status === 400 || reason.status === 403) && rejected.test(reason.body)))

/** What signs requests to a service, and signs one again with new credentials when the first are rejected. */
export const signing = Effect.fn("awsApi.signing")(function* (
  service: Service,
  region: string,
  { current, renew }: AwsCredentials.Source
): Effect.fn.Return<Sign> {
  const { sign } = yield* sdk
  const clock = yield* Clock.Clock
  const now = () => Math.floor(clock.currentTimeMillisUnsafe() / 1_000)
  const scope = { service: service.name, region }
  return (request, send) => {
    const signed = (credentials: AwsCredentials.AwsCredentials) =>
      Stream.unwrap(Effect.map(sign(request, scope, credentials, now()), send))
    return renew === undefined
      ? Stream.unwrap(Effect.map(current, signed))
      : Renewal.send({ current, renew }, isRejected, signed)
  }
})
