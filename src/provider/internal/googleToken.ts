import * as Http from "node:http"
import * as Https from "node:https"
import * as Effect from "effect/Effect"
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

type Fetch = Effect.Effect<AccessToken, LlmError.LlmError>

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
 * metadata server (`GCE_METADATA_HOST`); each time another token, as far as there is one. Fails with `LlmError` (`MissingCredential`) when there are none. The library is
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
        clientOptions: { transporterOptions }
      })
      return attempt(() => auth.getClient())
    }),
    Effect.map((client) =>
      Effect.flatMap(
        attempt(() => {
          // When to ask for another is decided elsewhere; a token that was revoked has not expired.
          client.setCredentials({ ...client.credentials, access_token: null, expiry_date: 1 })
          return client.getAccessToken()
        }),
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
