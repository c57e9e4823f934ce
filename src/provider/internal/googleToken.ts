import * as Http from "node:http"
import * as Https from "node:https"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import * as LlmError from "../../domain/LlmError.ts"

/**
 * - `expiresAtMillis`: epoch milliseconds; `null` when it does not expire as far as is known
 * - `quotaProject`: the project that requests are counted against, when the credentials name one
 */
export interface AccessToken {
  readonly value: Redacted.Redacted<string>
  readonly expiresAtMillis: number | null
  readonly quotaProject: string | null
}

/**
 * How long before its end a token is renewed. Google's metadata server hands out the old one until 4 minutes before, the
 * same as Google's own libraries do not ask earlier than 3 minutes 45 seconds before.
 */
export const marginMillis = 225_000

/** How long to wait after an attempt to renew a token that is still good. */
const pauseMillis = 10_000

type Fetch = Effect.Effect<AccessToken, LlmError.LlmError>

const makeCurrent = (fetch: Fetch, first: AccessToken, clock: Clock.Clock): Fetch => {
  let current = first
  let pending: Fiber.Fiber<AccessToken, LlmError.LlmError> | undefined
  let notBefore = 0

  const fetched = fetch.pipe(
    Effect.tap((token) =>
      Effect.sync(() => {
        current = token
      })
    ),
    Effect.ensuring(
      Effect.sync(() => {
        pending = undefined
        notBefore = clock.currentTimeMillisUnsafe() + pauseMillis
      })
    )
  )

  // A fiber of its own: the request that began it may be cancelled while others wait for it too.
  const begin = Effect.suspend(() =>
    pending !== undefined
      ? Effect.succeed(pending)
      : Effect.tap(Effect.forkDetach(fetched), (fiber) =>
          Effect.sync(() => {
            pending = fiber
          })
        )
  )

  return Effect.suspend((): Fetch => {
    if (current.expiresAtMillis === null) return Effect.succeed(current)
    const now = clock.currentTimeMillisUnsafe()
    const left = current.expiresAtMillis - now
    if (left > marginMillis) return Effect.succeed(current)
    if (left <= 0) return Effect.flatMap(begin, Fiber.join)
    return now < notBefore ? Effect.succeed(current) : Effect.as(begin, current)
  })
}

/**
 * The current token, from `fetch`, which is called at once, and again before the token expires. While it is good a request
 * never waits: the new one is fetched beside it. There is one fetch at a time; all who need its token share it.
 */
export const renewing = (fetch: Fetch): Effect.Effect<Fetch, LlmError.LlmError> =>
  Effect.map(Effect.all({ first: fetch, clock: Clock.Clock }), ({ clock, first }) => makeCurrent(fetch, first, clock))

const scope = "https://www.googleapis.com/auth/cloud-platform"

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

const unavailable = (problem: string): LlmError.LlmError =>
  LlmError.fromReason(
    new LlmError.MissingCredential({
      variable: "GCLOUD_ACCESS_TOKEN",
      description:
        "a token of `gcloud auth print-access-token`; or set up application-default credentials " +
        `(\`gcloud auth application-default login\`), which gave none: ${problem}`
    })
  )

const attempt = <A>(run: () => Promise<A>): Effect.Effect<A, LlmError.LlmError> =>
  Effect.tryPromise({ try: run, catch: (error) => unavailable(messageOf(error)) })

/** What Google's library needs of Node's client. Plain HTTP is for the metadata server alone, which no proxy can reach. */
const agentOf =
  (agent: Https.Agent) =>
  ({ protocol }: URL): Http.Agent =>
    protocol === "https:" ? agent : Http.globalAgent

/**
 * Application-default credentials, through Google's own library: `GOOGLE_APPLICATION_CREDENTIALS`, gcloud's file, or the
 * metadata server (`GCE_METADATA_HOST`). Fails with `LlmError` (`MissingCredential`) when there are none. The library is
 * loaded when this is run. `agent` connects to Google.
 */
export const applicationDefault = (agent: Https.Agent = Https.globalAgent): Effect.Effect<Fetch, LlmError.LlmError> =>
  attempt(() => import("google-auth-library")).pipe(
    Effect.flatMap(({ gaxios, GoogleAuth }) => {
      const transporterOptions = { agent: agentOf(agent) }
      // The package that asks the metadata server can be told in no other way.
      gaxios.instance.defaults = { ...gaxios.instance.defaults, ...transporterOptions }
      const auth = new GoogleAuth({
        scopes: scope,
        clientOptions: { eagerRefreshThresholdMillis: marginMillis, transporterOptions }
      })
      return attempt(() => auth.getClient())
    }),
    Effect.map((client) =>
      Effect.flatMap(
        attempt(() => client.getAccessToken()),
        ({ token }) =>
          token === undefined || token === null || token === ""
            ? Effect.fail(unavailable("an empty answer"))
            : Effect.succeed({
                value: Redacted.make(token),
                expiresAtMillis: client.credentials.expiry_date ?? null,
                quotaProject: client.quotaProjectId ?? null
              })
      )
    )
  )
