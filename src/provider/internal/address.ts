import * as Net from "node:net"
import * as Effect from "effect/Effect"
import * as LlmError from "../../domain/LlmError.ts"
import * as Secrets from "../../domain/Secrets.ts"

/** An http(s) address in its parts: `path` has no slash at its end, `search` begins with `?` or is empty. */
export interface Address {
  readonly origin: string
  readonly hostname: string
  readonly path: string
  readonly search: string
}

/** `null` when it is no http(s) address, or has a user or a password in it, which is sent in a header if at all. */
export const parse = (address: string): Address | null => {
  if (!URL.canParse(address)) return null
  const url = new URL(address)
  if (url.protocol !== "http:" && url.protocol !== "https:") return null
  if (hasUser(url)) return null
  const { hostname, origin, search } = url
  return { origin, hostname, path: url.pathname.replace(/\/+$/, ""), search }
}

const privateNetworks = new Net.BlockList()
privateNetworks.addAddress("0.0.0.0", "ipv4")
for (const [network, bits] of [
  ["10.0.0.0", 8],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.168.0.0", 16]
] as const) {
  privateNetworks.addSubnet(network, bits, "ipv4")
}
privateNetworks.addAddress("::1", "ipv6")
privateNetworks.addSubnet("fc00::", 7, "ipv6")
privateNetworks.addSubnet("fe80::", 10, "ipv6")

/**
 * Whether a host is this computer or in a private network: by its address (RFC 1918, RFC 4193, loopback, link-local), or by a name
 * that no public DNS knows (`localhost`, `*.local`, `*.internal`, a single label).
 */
export const isPrivate = (address: string): boolean => {
  const hostname =
    parse(address)
      ?.hostname.replace(/^\[(.*)\]$/, "$1")
      .replace(/\.$/, "") ?? ""
  const version = Net.isIP(hostname)
  if (version !== 0) return privateNetworks.check(hostname, version === 4 ? "ipv4" : "ipv6")
  return hostname !== "" && (!hostname.includes(".") || /\.(localhost|local|internal)$/.test(hostname))
}

const hasUser = ({ password, username }: URL): boolean => username !== "" || password !== ""

const problemOf = (apiBase: string): string =>
  URL.canParse(apiBase) && hasUser(new URL(apiBase))
    ? "The API base has a user or a password in it. Give it without, and what it stands for as a header, " +
      "such as authorization: Basic …"
    : `The API base is not an http(s) address: ${Secrets.shownAddress(apiBase)}`

/** Says what is wrong with an address, and where it came from. */
export const checked = (apiBase: string, variable: string | null): Effect.Effect<string, LlmError.LlmError> =>
  parse(apiBase) === null
    ? Effect.fail(
        LlmError.fromReason(
          new LlmError.Protocol({
            description: `${problemOf(apiBase)}${variable === null ? "" : ` (${variable} says so)`}`
          })
        )
      )
    : Effect.succeed(apiBase)

/** Where requests go. */
export interface Target {
  readonly origin: string
  readonly path: string
}

/** Where requests go for a base: `ending` is taken off its path if it is there, and `path` is put in its place. */
export const target = (apiBase: string, ending: RegExp, path: string): Target | null => {
  const address = parse(apiBase)
  return address === null
    ? null
    : { origin: address.origin, path: `${address.path.replace(ending, "")}${path}${address.search}` }
}

/** Fails when the base was no address. */
export const orFail = (target: Target | null, apiBase: string): Effect.Effect<Target, LlmError.LlmError> =>
  target === null
    ? Effect.fail(LlmError.fromReason(new LlmError.Protocol({ description: problemOf(apiBase) })))
    : Effect.succeed(target)
