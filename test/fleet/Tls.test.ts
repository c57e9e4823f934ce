import { assert, describe, it } from "@effect/vitest"
import { NodeServices } from "@effect/platform-node"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as TestClock from "effect/testing/TestClock"
import * as Tls from "../../src/fleet/Tls.ts"
import { authority, expired, files } from "./certificates.ts"

const ca = authority("our CA")
const own = ca.issue()
const good = { certificate: own.cert, key: own.key, ca: ca.cert }

const inOurTime = TestClock.setTime(Date.UTC(2026, 0, 1))

/** Reads files with these texts. */
const read = Effect.fnUntraced(function* (texts: Partial<typeof good>) {
  yield* inOurTime
  const path = yield* files({ ...good, ...texts })
  return yield* Tls.read({ certificate: path("certificate"), key: path("key"), ca: path("ca") })
})

describe("the files of TLS", () => {
  it.effect("are read as they are", () =>
    Effect.gen(function* () {
      const { ca, certificate, key } = yield* read({})
      assert.deepStrictEqual({ ca, certificate, key: Redacted.value(key) }, good)
      assert.notInclude(String(key), "PRIVATE")
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.effect("may hold a chain and several CAs", () =>
    read({ certificate: own.cert + ca.cert, ca: authority("another").cert + ca.cert }).pipe(
      Effect.provide(NodeServices.layer)
    )
  )

  it.effect.each([
    [
      "an expired certificate",
      { certificate: ca.issue(expired).cert },
      /^--tls-cert \S+: the certificate has expired \(2020-01-02\)\. Make a new one/
    ],
    [
      "a certificate of the future",
      { certificate: ca.issue({ from: new Date("2030-01-01T00:00:00Z") }).cert },
      /^--tls-cert \S+: the certificate is not valid before 2030-01-01/
    ],
    [
      "an expired one in the chain",
      { certificate: own.cert + ca.issue(expired).cert },
      /^--tls-cert \S+: the certificate has expired/
    ],
    [
      "a key of another certificate",
      { key: ca.issue().key },
      /^--tls-key \S+: it is the key of another certificate\. Give the one of /
    ],
    ["no key", { key: own.cert }, /^--tls-key \S+: there is no private key in it .*BEGIN PRIVATE KEY/],
    ["no certificate", { certificate: own.key }, /^--tls-cert \S+: there is no certificate in it .*BEGIN CERTIFICATE/],
    [
      "a damaged certificate",
      { certificate: own.cert.replace(/MII/, "MIX") },
      /^--tls-cert \S+: there is no certificate/
    ],
    ["no CA", { ca: "" }, /^--tls-ca \S+: there is no certificate/],
    ["an expired CA", { ca: ca.cert + ca.issue(expired).cert }, /^--tls-ca \S+: the certificate has expired/]
  ] as const)("are refused: %s", ([, texts, told]) =>
    Effect.gen(function* () {
      const { message } = yield* Effect.flip(read(texts))
      assert.match(message, told)
      assert.notInclude(message, "PRIVATE KEY-----\n")
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.effect("are refused when one is not there", () =>
    Effect.gen(function* () {
      yield* inOurTime
      const path = yield* files(good)
      const paths = { certificate: path("certificate"), key: path("key"), ca: path("ca") }
      for (const [which, flag] of [
        ["certificate", "--tls-cert"],
        ["key", "--tls-key"],
        ["ca", "--tls-ca"]
      ] as const) {
        const error = yield* Effect.flip(Tls.read({ ...paths, [which]: "/does/not/exist" }))
        assert.strictEqual(error.message, `${flag} /does/not/exist: there is no such file. Name a file in PEM format`)
      }
    }).pipe(Effect.provide(NodeServices.layer))
  )
})
