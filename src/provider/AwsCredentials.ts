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
import * as Variables from "./internal/variables.ts"

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
 * Where credentials come from. `current` is asked before every request, so that those that run out can be renewed; it
 * should answer from memory as long as they are good.
 *
 * @category models
 * @since 0.2.0
 */
export interface Source {
  readonly current: Effect.Effect<AwsCredentials, LlmError.LlmError>
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

const chain = Effect.fn("AwsCredentials.chain")(function* (region: string) {
  const { makeChain } = yield* Effect.promise(() => import("./internal/awsChain.ts"))
  const provide = makeChain(region)
  const current = Effect.map(
    Effect.tryPromise({ try: provide, catch: notFound }),
    ({ accessKeyId, secretAccessKey, sessionToken }): AwsCredentials => ({
      accessKeyId,
      secretAccessKey: Redacted.make(secretAccessKey),
      sessionToken: sessionToken === undefined ? null : Redacted.make(sessionToken)
    })
  )
  yield* current
  const source: Source = { current }
  return source
})

/**
 * From `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`; where no key is set, from what AWS's own tools
 * use: a profile (`AWS_PROFILE`), single sign-on, a process, web identity, the role of a container or a machine. These are
 * renewed before they run out. Fails with `LlmError` (`MissingCredential`) when there are none.
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
