import * as Config from "effect/Config"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { type Command } from "effect/cli"
import { type LlmError } from "../../domain/LlmError.ts"
import * as InputFile from "../../output/InputFile.ts"
import * as Transport from "../../provider/Transport.ts"
import { type CommandError, usage } from "../CommandError.ts"
import { type network } from "./networkFlags.ts"

export type NetworkInput = Command.Command.Config.Infer<typeof network>

/**
 * - `options`: for the transport
 * - `facts(origin)`: what the results say about the way to such a server
 * - `check(origin)`: fails when such a server cannot be reached in the way that was asked for
 */
export interface Network {
  readonly options: Pick<Transport.Options, "connectSeconds" | "connections" | "http2" | "proxies" | "security">
  readonly facts: (origin: string | null) => NetworkFacts
  readonly check: (origin: string | null) => Effect.Effect<void, CommandError>
}

export interface NetworkFacts {
  readonly [name: string]: string | boolean | null
  readonly tls_verified: boolean
  readonly ca: string | null
  readonly client_certificate: string | null
  readonly http2: boolean
  readonly connections: "reuse" | "fresh"
  readonly proxy: string | null
}

/** The first of these variables that is set and not blank. */
const variable = Effect.fnUntraced(function* (...names: ReadonlyArray<string>) {
  for (const name of names) {
    const value = yield* Effect.orElseSucceed(Config.option(Config.Redacted(name)), () => Option.none())
    if (Option.isSome(value) && Redacted.value(value.value).trim() !== "") return value.value
  }
  return undefined
})

/** All certificates of an operating system are a quarter of it. */
const MOST_BYTES = 1_000_000

const read = (flag: string, path: string) =>
  InputFile.read(path, { mostBytes: MOST_BYTES, pipes: true }).pipe(
    Effect.mapBoth({ onSuccess: ({ text }) => text, onFailure: (error) => usage(`--${flag}: ${error.message}`) })
  )

const wrongUse = Effect.mapError((error: LlmError) => usage(error.message))

const security = Effect.fnUntraced(function* (input: NetworkInput) {
  const certificate = Option.getOrUndefined(input.clientCert)
  if (certificate === undefined && Option.isSome(input.clientKey)) {
    return yield* usage("--client-key is the key of --client-cert: give that too")
  }
  const ca = Option.isSome(input.ca) ? [yield* read("ca", input.ca.value)] : undefined
  const clientCertificate =
    certificate === undefined
      ? undefined
      : {
          certificate: yield* read("client-cert", certificate),
          key: Redacted.make(
            Option.isSome(input.clientKey)
              ? yield* read("client-key", input.clientKey.value)
              : yield* read("client-cert", certificate)
          )
        }
  return yield* wrongUse(Transport.security({ ca, clientCertificate, verify: !input.insecure }))
})

const proxies = Effect.fnUntraced(function* (input: NetworkInput) {
  const given = Option.getOrUndefined(input.proxy)
  if (given !== undefined && Redacted.value(given).trim().toLowerCase() === "none") return undefined
  const noProxy = yield* variable("no_proxy", "NO_PROXY")
  // CGI programs get headers as HTTP_…, which is why some read the variable in small letters only. This is none.
  const options =
    given === undefined
      ? {
          http: yield* variable("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"),
          https: yield* variable("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
        }
      : { all: given }
  return yield* wrongUse(
    Transport.proxies({ ...options, noProxy: noProxy === undefined ? undefined : Redacted.value(noProxy) })
  )
})

/**
 * What the flags and the variables of proxies say, checked: files that cannot be read or used and contradictions end here,
 * before anything is sent. Certificates that nobody verifies are warned of. `local` is for a server that was started here:
 * nothing is between it and us.
 */
export const resolve = Effect.fn("network")(function* (
  input: NetworkInput,
  local = false
): Effect.fn.Return<Network, CommandError, FileSystem.FileSystem> {
  if (input.http2 && local) return yield* usage("--http2 has no meaning for a server that is started here")
  if (input.http2 && input.connections === "fresh") {
    return yield* usage(
      "--connections fresh and --http2 exclude each other: HTTP/2 sends many requests over one connection"
    )
  }
  const secure = yield* security(input)
  const through = local ? undefined : yield* proxies(input)
  if (input.insecure && !local) {
    yield* Console.error(
      "WARNING: --insecure: certificates are not verified. Whoever is between here and the server can read the key and change the answers."
    )
  }
  return {
    options: {
      connectSeconds: input.connectTimeout,
      security: secure,
      proxies: through,
      http2: input.http2,
      connections: input.connections
    },
    check: (origin) =>
      input.http2 && origin !== null && !origin.startsWith("https:")
        ? usage(`--http2: HTTP/2 is spoken over TLS only, and ${origin} does not begin with https://`)
        : Effect.void,
    facts: (origin) => ({
      server: origin,
      tls_verified: !input.insecure,
      ca: Option.getOrNull(input.ca),
      client_certificate: Option.getOrNull(input.clientCert),
      http2: input.http2,
      connections: input.connections,
      proxy: origin === null ? null : (through?.of(origin)?.name ?? null)
    })
  }
})
