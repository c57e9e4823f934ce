import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { Flag } from "effect/cli"
import * as Setting from "./setting.ts"

/** How servers are reached: for every command that asks an API. */
export const network = {
  connectTimeout: Setting.withDefault(
    "connect-timeout",
    Setting.positiveDuration,
    10,
    "Limit for opening a connection: DNS, TCP and TLS, and the way through a proxy",
    "10s"
  ),
  ca: Setting.optional("ca", Setting.text("file"), "Certificates to trust besides the usual ones (PEM)"),
  insecure: Setting.toggle(
    "insecure",
    false,
    "Verify no certificate: a man in the middle could read the key and the responses"
  ),
  clientCert: Setting.optional(
    "client-cert",
    Setting.text("file"),
    "Certificate to show to servers that ask for one (PEM)"
  ),
  clientKey: Setting.optional(
    "client-key",
    Setting.text("file"),
    "Its private key (PEM, without a password); by default in the same file"
  ),
  http2: Setting.toggle(
    "http2",
    false,
    "Speak HTTP/2, up to 100 requests at a time on one connection: for https:// addresses of servers that speak it"
  ),
  connections: Setting.withDefault(
    "connections",
    Setting.oneOf("reuse", "fresh"),
    "reuse",
    "reuse: keep connections for later requests; fresh: a new connection for every request, opened when it is due",
    "reuse"
  ),
  proxy: Setting.optional(
    "proxy",
    { ...Setting.text("url|none"), shown: Setting.hidden },
    "Proxy for all requests, http://user:password@host:port; none uses none. By default HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY decide"
  ).pipe(Flag.map(Option.map(Redacted.make)))
}
