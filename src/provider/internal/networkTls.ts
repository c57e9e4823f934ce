import { createPrivateKey, X509Certificate } from "node:crypto"
import * as Tls from "node:tls"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as LlmError from "../../domain/LlmError.ts"

/** Whom to trust, and who we are. All texts are PEM. */
export interface SecurityOptions {
  readonly ca?: ReadonlyArray<string> | undefined
  readonly verify?: boolean | undefined
  readonly clientCertificate?: { readonly certificate: string; readonly key: Redacted.Redacted<string> } | undefined
}

/**
 * - `context`: certificates that have been read, once for all connections; `undefined` for what Node.js trusts by itself
 * - `verify`: whether a server must show that it is the one that was asked for
 */
export interface Security {
  readonly context: Tls.SecureContext | undefined
  readonly verify: boolean
}

const certificate = /-----BEGIN (?:TRUSTED )?CERTIFICATE-----[\s\S]*?-----END (?:TRUSTED )?CERTIFICATE-----/g

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

const wrong = (description: string) => LlmError.fromReason(new LlmError.Tls({ description, code: null }))

/** The certificates in a file of them, all of them good. OpenSSL would pass over what it cannot read without a word. */
const certificatesIn = (pem: string): ReadonlyArray<string> => {
  const found = pem.match(certificate) ?? []
  if (found.length === 0) throw new Error("there is no certificate in PEM format in it")
  for (const text of found) void new X509Certificate(text)
  return found
}

/** Checked, because Node.js passes over an empty key. */
const identity = (given: NonNullable<SecurityOptions["clientCertificate"]>) => {
  const key = Redacted.value(given.key)
  void createPrivateKey(key)
  return { cert: certificatesIn(given.certificate).join("\n"), key }
}

export const security = Effect.fnUntraced(function* (
  options: SecurityOptions
): Effect.fn.Return<Security, LlmError.LlmError> {
  const { ca, clientCertificate, verify = true } = options
  if (ca === undefined && clientCertificate === undefined) return { context: undefined, verify }
  const trusted =
    ca === undefined
      ? undefined
      : yield* Effect.try({
          try: () => [...Tls.getCACertificates("default"), ...ca.flatMap(certificatesIn)],
          catch: (error) => wrong(`the CA certificates cannot be used: ${messageOf(error)}`)
        })
  const context = yield* Effect.try({
    try: () =>
      Tls.createSecureContext({
        ...(trusted === undefined ? {} : { ca: trusted }),
        ...(clientCertificate === undefined ? {} : identity(clientCertificate))
      }),
    catch: (error) => wrong(`the client certificate and its key cannot be used: ${messageOf(error)}`)
  })
  return { context, verify }
})
