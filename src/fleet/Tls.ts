/**
 * TLS between agents and their coordinator, in which both sides show a certificate.
 *
 * An agent lets in whoever shows a certificate that its CA has signed. A coordinator talks to agents whose certificate its CA has
 * signed and that is for the host it has called.
 *
 * @since 0.2.0
 */
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto"
import { isIP } from "node:net"
import type * as NodeTls from "node:tls"
import * as Files from "./internal/files.ts"

/**
 * Who we are and whom we trust, all in PEM: our certificate (and those between it and its CA), its private key, and the
 * certificates of the CA whose signature the other side must show.
 *
 * @category models
 * @since 0.2.0
 */
export interface Credentials {
  readonly certificate: string
  readonly key: Redacted.Redacted
  readonly ca: string
}

/**
 * A file cannot be used. `flag` is the flag that names it, `advice` says what to do about it.
 *
 * @category errors
 * @since 0.2.0
 */
export class TlsError extends Schema.TaggedError<TlsError>("llmperf/fleet/TlsError")("TlsError", {
  flag: Schema.Literals(["--tls-cert", "--tls-key", "--tls-ca"]),
  path: Schema.String,
  problem: Schema.String,
  advice: Schema.String
}) {
  override get message(): string {
    return `${this.flag} ${this.path}: ${this.problem}. ${this.advice}`
  }
}

/**
 * The paths of the files of `Credentials`.
 *
 * @category models
 * @since 0.2.0
 */
export interface Paths {
  readonly certificate: string
  readonly key: string
  readonly ca: string
}

const pem = /-----BEGIN (?:TRUSTED )?CERTIFICATE-----[\s\S]*?-----END (?:TRUSTED )?CERTIFICATE-----/g

/** The certificates in a text, `null` when there is none or one cannot be read. OpenSSL would pass over those without a word. */
const certificatesIn = (text: string): ReadonlyArray<X509Certificate> | null => {
  try {
    const found = (text.match(pem) ?? []).map((one) => new X509Certificate(one))
    return found.length === 0 ? null : found
  } catch {
    return null
  }
}

const keyIn = (text: string): KeyObject | null => {
  try {
    return createPrivateKey(text)
  } catch {
    return null
  }
}

const FORM = "It must be in PEM format: -----BEGIN CERTIFICATE-----"
const NEW_ONE = "Make a new one, unless the clock of this machine is wrong"

const day = (time: Date): string => DateTime.formatIsoDateUtc(DateTime.makeUnsafe(time))

/**
 * Reads credentials and finds what is wrong with them: files that cannot be read or are not what they should be, a key of another
 * certificate, certificates that are not valid now.
 *
 * @category reading
 * @since 0.2.0
 */
export const read = Effect.fn("Tls.read")(function* (
  paths: Paths
): Effect.fn.Return<Credentials, TlsError, FileSystem.FileSystem> {
  const wrong = (flag: TlsError["flag"], problem: string, advice: string) => {
    const path = { "--tls-cert": paths.certificate, "--tls-key": paths.key, "--tls-ca": paths.ca }[flag]
    return new TlsError({ flag, path, problem, advice })
  }
  const textOf = (flag: TlsError["flag"], path: string) =>
    Files.read(path).pipe(
      Effect.mapBoth({
        onSuccess: ({ text }) => text,
        onFailure: ({ problem }) => wrong(flag, problem, "Name a file in PEM format")
      })
    )
  const now = yield* Clock.currentTimeMillis
  const valid = (flag: "--tls-cert" | "--tls-ca", { validFromDate, validToDate }: X509Certificate) => {
    if (validToDate.getTime() < now) {
      return Effect.fail(wrong(flag, `the certificate has expired (${day(validToDate)})`, NEW_ONE))
    }
    return validFromDate.getTime() > now
      ? Effect.fail(wrong(flag, `the certificate is not valid before ${day(validFromDate)}`, NEW_ONE))
      : Effect.void
  }

  const certificate = yield* textOf("--tls-cert", paths.certificate)
  const [own, ...between] = certificatesIn(certificate) ?? []
  if (own === undefined) return yield* wrong("--tls-cert", "there is no certificate in it that can be read", FORM)
  for (const each of [own, ...between]) yield* valid("--tls-cert", each)

  const keyText = yield* textOf("--tls-key", paths.key)
  const key = keyIn(keyText)
  if (key === null) {
    return yield* wrong(
      "--tls-key",
      "there is no private key in it that can be read",
      "It must be in PEM format and without a password: -----BEGIN PRIVATE KEY-----"
    )
  }
  if (!own.checkPrivateKey(key)) {
    return yield* wrong("--tls-key", "it is the key of another certificate", `Give the one of ${paths.certificate}`)
  }

  const ca = yield* textOf("--tls-ca", paths.ca)
  const trusted = certificatesIn(ca)
  if (trusted === null) return yield* wrong("--tls-ca", "there is no certificate in it that can be read", FORM)
  for (const each of trusted) yield* valid("--tls-ca", each)

  return { certificate, key: Redacted.make(keyText, { label: "private key" }), ca }
})

/** TLS 1.3: its handshake hides the certificates of both, and has no weak choices. Node.js has it wherever this runs. */
const MINIMUM = "TLSv1.3"

const common = ({ ca, certificate, key }: Credentials) =>
  ({
    ca,
    cert: certificate,
    key: Redacted.value(key),
    minVersion: MINIMUM,
    rejectUnauthorized: true
  }) satisfies NodeTls.SecureContextOptions & NodeTls.CommonConnectionOptions

/**
 * For the server of an agent: whoever calls must show a certificate of the CA.
 *
 * @category options
 * @since 0.2.0
 */
export const serverOptions = (credentials: Credentials): NodeTls.TlsOptions => ({
  ...common(credentials),
  requestCert: true,
  handshakeTimeout: 5_000
})

/**
 * For a connection to the agent at `host`, which must show that it is that host.
 *
 * @category options
 * @since 0.2.0
 */
export const clientOptions = (credentials: Credentials, host: string): NodeTls.ConnectionOptions => ({
  ...common(credentials),
  host,
  // Addresses may not be named in a TLS handshake (RFC 6066, 3); they are verified all the same
  ...(isIP(host) === 0 ? { servername: host } : {})
})
