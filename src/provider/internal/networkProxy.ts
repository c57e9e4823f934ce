import * as Net from "node:net"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as LlmError from "../../domain/LlmError.ts"

/**
 * - `hostname`: without the brackets of an IPv6 address
 * - `name`: its address as it may be shown, without a login
 * - `authorization`: the value of `proxy-authorization`
 */
export interface Proxy {
  readonly protocol: "http:" | "https:"
  readonly hostname: string
  readonly port: string
  readonly name: string
  readonly authorization: Redacted.Redacted<string> | null
}

/** Which proxy requests to an origin go through; `null` for none. */
export interface Proxies {
  readonly of: (origin: string) => Proxy | null
}

export interface ProxyOptions {
  readonly all?: Redacted.Redacted<string> | undefined
  readonly http?: Redacted.Redacted<string> | undefined
  readonly https?: Redacted.Redacted<string> | undefined
  readonly noProxy?: string | undefined
}

const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

const parse = (address: Redacted.Redacted<string>, what: string): Effect.Effect<Proxy, LlmError.LlmError> => {
  const text = Redacted.value(address).trim()
  const full = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`
  const url = URL.canParse(full) ? new URL(full) : null
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:")) {
    // Not shown: it may hold a password.
    const description = `The address of the ${what} is not one that can be used: it must be http://host:port or https://host:port, with user:password@ before the host if the proxy asks for a login`
    return Effect.fail(LlmError.fromReason(new LlmError.Protocol({ description })))
  }
  const login = `${decoded(url.username)}:${decoded(url.password)}`
  return Effect.succeed({
    protocol: url.protocol,
    hostname: url.hostname.replace(/^\[(.*)\]$/, "$1"),
    port: url.port === "" ? (url.protocol === "https:" ? "443" : "80") : url.port,
    name: url.origin,
    authorization: login === ":" ? null : Redacted.make(`Basic ${Buffer.from(login).toString("base64")}`)
  })
}

const parsed = (address: Redacted.Redacted<string> | undefined, what: string) =>
  address === undefined ? Effect.succeed(null) : parse(address, what)

const bare = (host: string): string =>
  host
    .toLowerCase()
    .replace(/^\[(.*)\]$/, "$1")
    .replace(/(.)\.$/, "$1")

const portOf = (url: URL): number => (url.port === "" ? (url.protocol === "https:" ? 443 : 80) : Number(url.port))

const kindOf = (address: string): "ipv4" | "ipv6" => (Net.isIPv6(address) ? "ipv6" : "ipv4")

type Matcher = (host: string, port: number) => boolean

/** `10.0.0.0/8`, which undici does not know, but curl and Go do. */
const network = (entry: string): Matcher | undefined => {
  const [, address, bits] = /^\[?([^\]]+)\]?\/(\d+)$/.exec(entry) ?? []
  if (address === undefined || !Net.isIP(address)) return undefined
  const prefix = Number(bits)
  if (prefix > (Net.isIPv6(address) ? 128 : 32)) return undefined
  const block = new Net.BlockList()
  block.addSubnet(address, prefix, kindOf(address))
  return (host) => Net.isIP(host) !== 0 && block.check(host, kindOf(host))
}

const matcherOf = (entry: string): Matcher => {
  const subnet = network(entry)
  if (subnet !== undefined) return subnet
  const [, bracketed, itsPort] = /^\[(.+)\](?::(\d+))?$/.exec(entry) ?? []
  // An IPv6 address without brackets has several colons and no port.
  const [, named, port] = bracketed === undefined ? (/^([^:]+):(\d+)$/.exec(entry) ?? []) : []
  const pattern = bracketed ?? named ?? entry
  const wanted = Number(itsPort ?? port ?? 0)
  const domain = bare(pattern.replace(/^\*?\./, ""))
  const onlyBelow = pattern.startsWith("*")
  return (host, hostPort) =>
    (wanted === 0 || wanted === hostPort) &&
    (domain === "*" || (!onlyBelow && host === domain) || host.endsWith(`.${domain}`))
}

const loopback = new Net.BlockList()
loopback.addSubnet("127.0.0.0", 8, "ipv4")
loopback.addAddress("::1", "ipv6")

const isLoopback = (host: string): boolean =>
  host === "localhost" || host.endsWith(".localhost") || (Net.isIP(host) !== 0 && loopback.check(host, kindOf(host)))

/**
 * `noProxy` is read as undici reads `NO_PROXY` (its `EnvHttpProxyAgent`), and knows networks besides. This computer itself
 * is reached without a proxy unless it is `all`, as in Go.
 */
export const proxies = Effect.fnUntraced(function* (
  options: ProxyOptions
): Effect.fn.Return<Proxies, LlmError.LlmError> {
  const all = yield* parsed(options.all, "proxy")
  const http = all ?? (yield* parsed(options.http, "proxy for http"))
  const https = all ?? (yield* parsed(options.https, "proxy for https"))
  const exceptions = (options.noProxy ?? "")
    .split(/[,\s]+/)
    .flatMap((entry) => (entry === "" ? [] : [matcherOf(entry)]))
  return {
    of: (origin) => {
      const url = new URL(origin)
      const proxy = url.protocol === "https:" ? https : http
      if (proxy === null) return null
      const host = bare(url.hostname)
      if (all === null && isLoopback(host)) return null
      return exceptions.some((matches) => matches(host, portOf(url))) ? null : proxy
    }
  }
})
