import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { afterEach, vi } from "vitest"
import * as AwsCredentials from "../../src/provider/AwsCredentials.ts"
import { answer, raw } from "./servers.ts"

/** The chain reads the environment itself. In here there is nothing to be found but what a test puts there. */
const environment = (variables: { readonly [name: string]: string }) =>
  Effect.sync(() => {
    for (const name of Object.keys(process.env)) if (name.startsWith("AWS_")) vi.stubEnv(name, undefined)
    const files = { AWS_CONFIG_FILE: "/nowhere/config", AWS_SHARED_CREDENTIALS_FILE: "/nowhere/credentials" }
    for (const [name, value] of Object.entries({ ...files, AWS_EC2_METADATA_DISABLED: "true", ...variables })) {
      vi.stubEnv(name, value)
    }
  })

const fromEnvironment = (variables: { readonly [name: string]: string }) =>
  Effect.andThen(environment(variables), AwsCredentials.fromEnvironment("us-east-1")).pipe(
    Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord(variables)))
  )

const plain = ({ accessKeyId, secretAccessKey, sessionToken }: AwsCredentials.AwsCredentials) => [
  accessKeyId,
  Redacted.value(secretAccessKey),
  sessionToken === null ? null : Redacted.value(sessionToken)
]

afterEach(() => vi.unstubAllEnvs())

describe("AwsCredentials.fromEnvironment", () => {
  it.live("takes the variables where they are set, and looks nowhere else", () =>
    Effect.gen(function* () {
      const keys = { AWS_ACCESS_KEY_ID: " id ", AWS_SECRET_ACCESS_KEY: "secret", AWS_SESSION_TOKEN: "" }
      const source = yield* fromEnvironment({ ...keys, AWS_PROFILE: "missing" })
      assert.deepStrictEqual(plain(yield* source.current), ["id", "secret", null])
      const withToken = yield* fromEnvironment({ ...keys, AWS_SESSION_TOKEN: "token" })
      assert.deepStrictEqual(plain(yield* withToken.current), ["id", "secret", "token"])
    })
  )

  it.live("finds a profile", () =>
    Effect.gen(function* () {
      const file = new URL("../fixtures/provider/aws-credentials", import.meta.url).pathname
      const source = yield* fromEnvironment({ AWS_SHARED_CREDENTIALS_FILE: file, AWS_PROFILE: "bench" })
      assert.deepStrictEqual(plain(yield* source.current), ["bench-id", "bench-secret", "bench-token"])
    })
  )

  it.live("takes on the role of a container, keeps what is good, and renews what has run out", () =>
    Effect.gen(function* () {
      const server = yield* raw((socket, _request, ordinal) => {
        // The first has run out when it comes; the second is good for an hour.
        const Expiration = new Date(Date.now() + (ordinal === 1 ? -1_000 : 3_600_000)).toISOString()
        const body = { AccessKeyId: `id-${ordinal}`, SecretAccessKey: "secret", Token: "token", Expiration }
        socket.write(answer("200 OK", JSON.stringify(body), { "content-type": "application/json" }))
      })
      const source = yield* fromEnvironment({ AWS_CONTAINER_CREDENTIALS_FULL_URI: `${server.url}/role` })
      assert.deepStrictEqual(plain(yield* source.current), ["id-2", "secret", "token"])
      assert.deepStrictEqual(plain(yield* source.current), ["id-2", "secret", "token"])
      assert.strictEqual(server.received.length, 2)
    })
  )

  it.live("fetches others once for all whose credentials were rejected", () =>
    Effect.gen(function* () {
      const server = yield* raw((socket, _request, ordinal) => {
        const Expiration = new Date(Date.now() + 3_600_000).toISOString()
        const body = { AccessKeyId: `id-${ordinal}`, SecretAccessKey: "secret", Token: "token", Expiration }
        socket.write(answer("200 OK", JSON.stringify(body), { "content-type": "application/json" }))
      })
      const { current, renew } = yield* fromEnvironment({
        AWS_CONTAINER_CREDENTIALS_FULL_URI: `${server.url}/role`
      })
      assert.isDefined(renew)
      const first = yield* current
      const renewed = yield* Effect.forEach(Array.from({ length: 20 }), () => renew(first), { concurrency: 20 })
      for (const each of [...renewed, yield* renew(first), yield* current]) {
        assert.deepStrictEqual(plain(each), ["id-2", "secret", "token"])
      }
      assert.strictEqual(server.received.length, 2)
    })
  )

  it.live("has no others for the keys of a profile", () =>
    Effect.gen(function* () {
      const file = new URL("../fixtures/provider/aws-credentials", import.meta.url).pathname
      const { current, renew } = yield* fromEnvironment({ AWS_SHARED_CREDENTIALS_FILE: file, AWS_PROFILE: "bench" })
      assert.isDefined(renew)
      const first = yield* current
      assert.strictEqual(yield* renew(first), first)
    })
  )

  it.live("names a profile that there is not", () =>
    Effect.gen(function* () {
      const file = new URL("../fixtures/provider/aws-credentials", import.meta.url).pathname
      const error = yield* Effect.flip(fromEnvironment({ AWS_SHARED_CREDENTIALS_FILE: file, AWS_PROFILE: "missing" }))
      assert.match(
        error.message,
        /^AWS_PROFILE must be set: .*none named missing \(profiles in .* and .*aws-credentials: default, bench\)$/
      )
    })
  )

  it.live("says what to set when there is nothing anywhere", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(fromEnvironment({}))
      assert.strictEqual(error._tag, "LlmError")
      assert.match(error.message, /^AWS_ACCESS_KEY_ID must be set: .*AWS_SECRET_ACCESS_KEY/)
    })
  )

  it.live("does not take half a key", () =>
    Effect.gen(function* () {
      const noSecret = yield* Effect.flip(fromEnvironment({ AWS_ACCESS_KEY_ID: "id" }))
      assert.match(noSecret.message, /^AWS_SECRET_ACCESS_KEY must be set/)
      const noId = yield* Effect.flip(fromEnvironment({ AWS_SECRET_ACCESS_KEY: "secret" }))
      assert.match(noId.message, /^AWS_ACCESS_KEY_ID must be set/)
    })
  )
})
