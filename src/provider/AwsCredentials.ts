/**
 * Credentials of Amazon Web Services.
 *
 * @since 0.2.0
 */
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as LlmError from "../domain/LlmError.ts"
import * as AwsProfile from "./internal/awsProfile.ts"
import * as Variables from "./internal/variables.ts"
import { Transport } from "./Transport.ts"

/**
 * A key of an account, and the token of its session where it is a temporary one.
 *
 * @category models
 * @since 0.2.0
 */
export interface AwsCredentials {
  readonly accessKeyId: string
  readonly secretAccessKey: Redacted.Redacted<string>
  readonly sessionToken: Redacted.Redacted<string> | null
}

/**
 * Where credentials come from.
 *
 * - `current`: asked before every request, so that those that expire can be renewed; it should answer from memory as long as they
 *   are good
 * - `renew(rejected)`: others in place of those that a server has rejected as expired or invalid, for the one more try that the
 *   request then gets; the same object when there are none. All requests whose credentials were rejected ask, so it should fetch
 *   once for all of them. Without it there is no second try
 *
 * @category models
 * @since 0.2.0
 */
export interface Source {
  readonly current: Effect.Effect<AwsCredentials, LlmError.LlmError>
  readonly renew?: ((rejected: AwsCredentials) => Effect.Effect<AwsCredentials, LlmError.LlmError>) | undefined
}

/**
 * The same credentials for good.
 *
 * @category constructors
 * @since 0.2.0
 */
export const fixed = (credentials: AwsCredentials): Source => ({ current: Effect.succeed(credentials) })

const notFound = (error: unknown): LlmError.LlmError =>
  LlmError.fromReason(
    new LlmError.MissingCredential({
      variable: "AWS_ACCESS_KEY_ID",
      description:
        "the id of the access key, with AWS_SECRET_ACCESS_KEY. Profiles, single sign-on, web identity and the roles of " +
        `containers and machines were tried too (${error instanceof Error ? error.message : String(error)})`
    })
  )

const same = (a: AwsCredentials, b: AwsCredentials): boolean =>
  a.accessKeyId === b.accessKeyId &&
  (a.sessionToken === null ? null : Redacted.value(a.sessionToken)) ===
    (b.sessionToken === null ? null : Redacted.value(b.sessionToken))

const chain = Effect.fn("AwsCredentials.chain")(function* (region: string) {
  const { makeChain, readProfile } = yield* Effect.promise(() => import("./internal/awsChain.ts"))
  yield* AwsProfile.check(yield* Effect.promise(readProfile))
  const transport = Option.getOrUndefined(yield* Effect.serviceOption(Transport))
  const provide = makeChain(region, transport?.agent)
  const fetch = (forceRefresh: boolean) =>
    Effect.map(
      Effect.tryPromise({ try: () => provide(forceRefresh), catch: notFound }),
      ({ accessKeyId, secretAccessKey, sessionToken }): AwsCredentials => ({
        accessKeyId,
        secretAccessKey: Redacted.make(secretAccessKey),
        sessionToken: sessionToken === undefined ? null : Redacted.make(sessionToken)
      })
    )
  const current = fetch(false)
  yield* current
  const source: Source = {
    current,
    // Others may have renewed them meanwhile. AWS's package fetches once for all who ask it at the same time.
    renew: Effect.fnUntraced(function* (rejected) {
      const known = yield* current
      const renewed = same(known, rejected) ? yield* fetch(true) : known
      return same(renewed, rejected) ? rejected : renewed
    })
  }
  return source
})

/**
 * From `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`; where no key is set, from what AWS's own tools
 * use: a profile (`AWS_PROFILE`), single sign-on, a process, web identity, the role of a container or a machine. These are
 * renewed before they expire, and when a server rejects them. With a `Transport` in the context they are fetched through its
 * proxies. Fails with `LlmError` (`MissingCredential`) when there are none, or no such profile.
 *
 * @category constructors
 * @since 0.2.0
 */
export const fromEnvironment: (region: string) => Effect.Effect<Source, LlmError.LlmError | Config.ConfigError> =
  Effect.fn("AwsCredentials.fromEnvironment")(function* (region: string) {
    const accessKeyId = yield* Variables.text(["AWS_ACCESS_KEY_ID"])
    const secretAccessKey = yield* Variables.secret(["AWS_SECRET_ACCESS_KEY"])
    if (Option.isNone(accessKeyId)) {
      return Option.isNone(secretAccessKey)
        ? yield* chain(region)
        : yield* Variables.missing("AWS_ACCESS_KEY_ID", "the id of the access key in AWS_SECRET_ACCESS_KEY")
    }
    if (Option.isNone(secretAccessKey)) {
      return yield* Variables.missing("AWS_SECRET_ACCESS_KEY", "the secret of the access key in AWS_ACCESS_KEY_ID")
    }
    const sessionToken = yield* Variables.secret(["AWS_SESSION_TOKEN"])
    return fixed({
      accessKeyId: accessKeyId.value,
      secretAccessKey: secretAccessKey.value,
      sessionToken: Option.getOrNull(sessionToken)
    })
  })
