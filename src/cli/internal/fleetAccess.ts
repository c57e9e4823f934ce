import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import packageJson from "../../../package.json" with { type: "json" }
import * as AgentAddress from "../../fleet/AgentAddress.ts"
import * as AgentToken from "../../fleet/AgentToken.ts"
import * as ClusterAddress from "../../fleet/ClusterAddress.ts"
import type * as Sockets from "../../fleet/Sockets.ts"
import * as Tls from "../../fleet/Tls.ts"
import { type CommandError, usage } from "../CommandError.ts"

interface TlsInput {
  readonly tlsCert: Option.Option<string>
  readonly tlsKey: Option.Option<string>
  readonly tlsCa: Option.Option<string>
}

const wrongUse = Effect.mapError(({ message }: { readonly message: string }) => usage(message))

/** The files of TLS, read and checked; `null` when there is to be none. Both sides show a certificate, so all three are needed. */
export const credentialsOf = Effect.fnUntraced(function* (input: TlsInput) {
  const given = [
    ["--tls-cert", input.tlsCert],
    ["--tls-key", input.tlsKey],
    ["--tls-ca", input.tlsCa]
  ] as const
  const missing = given.flatMap(([flag, path]) => (Option.isNone(path) ? [flag] : []))
  if (missing.length === given.length) return null
  const paths = Option.all({ certificate: input.tlsCert, key: input.tlsKey, ca: input.tlsCa })
  if (Option.isNone(paths)) {
    return yield* usage(`TLS needs --tls-cert, --tls-key and --tls-ca: without ${missing.join(" and ")} there is none`)
  }
  return yield* wrongUse(Tls.read(paths.value))
})

/** Where agents are found. */
export const clusterOf = (text: string) => wrongUse(Effect.fromResult(ClusterAddress.parse(text)))

/** What the flags say of agents; `version` is that of this program. */
export interface FleetInput extends TlsInput {
  readonly agents: Option.Option<ReadonlyArray<AgentAddress.AgentAddress>>
  readonly tokenFile: Option.Option<string>
}

/**
 * How agents are called. What is wrong with the token and the files of TLS ends here, before anybody is called. Whoever sends
 * the token without TLS to another machine is warned.
 */
export const callingOf = Effect.fn("fleetAccess")(function* (
  input: FleetInput
): Effect.fn.Return<Sockets.Calling, CommandError, FileSystem.FileSystem> {
  if (Option.isNone(input.tokenFile)) {
    return yield* usage("--token-file must be given: agents work for those who know their token")
  }
  const token = yield* wrongUse(AgentToken.read(input.tokenFile.value))
  const credentials = yield* credentialsOf(input)
  const away = Option.getOrElse(input.agents, () => []).filter((address) => !AgentAddress.isLoopback(address))
  if (credentials === null && away.length > 0) {
    yield* Console.error(
      `WARNING: no TLS: everybody between here and ${away.map(AgentAddress.format).join(", ")} can read the token and all prompts.`
    )
  }
  return { token, credentials, version: packageJson.version }
})
