/**
 * Where an agent listens: `host:port`, with brackets around an IPv6 address.
 *
 * @since 0.2.0
 */
import * as Option from "effect/Option"
import { isIPv4, isIPv6 } from "node:net"

/**
 * A host by its name or address (without brackets), and a port.
 *
 * @category models
 * @since 0.2.0
 */
export interface AgentAddress {
  readonly host: string
  readonly port: number
}

/**
 * The port of an agent that was not told another one.
 *
 * @category constants
 * @since 0.2.0
 */
export const DEFAULT_PORT = 7070

// A name as DNS and /etc/hosts have them (RFC 1123), and the underscores of Docker Compose
const named = /^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?$/
const onlyDigits = /^[\d.]+$/

const isHost = (host: string): boolean => isIPv4(host) || (named.test(host) && !onlyDigits.test(host))

/**
 * Reads `host`, `host:port`, `[::1]` or `[::1]:7070`. Without a port it is `DEFAULT_PORT`; port 0 is for those who listen.
 *
 * @category parsing
 * @since 0.2.0
 */
export const parse = (text: string): Option.Option<AgentAddress> => {
  const [, bracketed, plain, digits] = /^(?:\[([^[\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(text.trim()) ?? []
  const host = bracketed ?? plain ?? ""
  const port = digits === undefined ? DEFAULT_PORT : Number(digits)
  const isGood = (bracketed === undefined ? isHost(host) : isIPv6(host)) && port <= 65_535
  return isGood ? Option.some({ host, port }) : Option.none()
}

/**
 * Reads addresses with commas between them. None when one of them is no address that could be called, or there is none.
 *
 * @category parsing
 * @since 0.2.0
 */
export const parseList = (text: string): Option.Option<ReadonlyArray<AgentAddress>> =>
  Option.all(text.split(",").map((item) => Option.filter(parse(item), ({ port }) => port > 0)))

/**
 * As `parse` reads it, with the port.
 *
 * @category formatting
 * @since 0.2.0
 */
export const format = ({ host, port }: AgentAddress): string =>
  host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`

/**
 * Whether nobody outside this machine reaches it: 127.0.0.0/8, `::1`, and `localhost`.
 *
 * @category guards
 * @since 0.2.0
 */
export const isLoopback = ({ host }: Pick<AgentAddress, "host">): boolean =>
  host.toLowerCase() === "localhost" ||
  (isIPv4(host) && host.startsWith("127.")) ||
  /^(0{0,4}:){2,7}0{0,3}1$/.test(host)
