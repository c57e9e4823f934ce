import * as Http from "node:http"
import type * as Net from "node:net"
import * as Redacted from "effect/Redacted"
import { NetError } from "./netError.ts"
import { type Proxy } from "./networkProxy.ts"

const codeOf = (error: unknown): string | null =>
  typeof error === "object" && error !== null && "code" in error && typeof error.code === "string" ? error.code : null

const messageOf = (error: Error): string => {
  if (!(error instanceof AggregateError) || error.message !== "") return error.message
  return error.errors.map((each: unknown) => (each instanceof Error ? each.message : String(each))).join("; ")
}

/** A connection failed because of its proxy. The message names it, without its login. */
export class ProxyError extends Error {
  override readonly name = "ProxyError"
  readonly code: string | null

  constructor(message: string, code: string | null) {
    super(message)
    this.code = code
  }

  static unreachable(proxy: Proxy, cause: Error): Error {
    // A time limit is one, wherever the time went.
    if (cause instanceof NetError && cause.kind === "connect-timeout") return cause
    return new ProxyError(`the proxy ${proxy.name} cannot be reached: ${messageOf(cause)}`, codeOf(cause))
  }

  static refusal(proxy: Proxy, authority: string, status: number, words: string): ProxyError {
    return new ProxyError(refusalText(proxy, authority, status, words), `PROXY_${status}`)
  }
}

/** What it means that a proxy answers with an error of its own. */
export const refusalText = (proxy: Proxy, authority: string, status: number, words = ""): string => {
  const answer = `${status}${words === "" ? "" : ` ${words}`}`
  if (status === 407) {
    const advice =
      proxy.authorization === null
        ? "put it into its address, as http://user:password@host:port"
        : "the one in its address was not accepted"
    return `the proxy ${proxy.name} asks for a login (${answer}); ${advice}`
  }
  return `the proxy ${proxy.name} refused a connection to ${authority} (${answer})`
}

export interface TunnelOptions {
  readonly proxy: Proxy
  /** Host and port to reach. */
  readonly authority: string
  /** Opens a socket to the proxy. */
  readonly open: (then: Then) => void
  readonly limitMs: number
  readonly signal: AbortSignal
}

export type Then = (...result: [Error, null] | [null, Net.Socket]) => void

/** Asks a proxy for a connection to a server (RFC 9110, 9.3.6), within a time limit for all of it. */
export const openTunnel = ({ authority, limitMs, open, proxy, signal }: TunnelOptions, then: Then): void => {
  let socket: Net.Socket | undefined
  let over = false
  const end = (): boolean => {
    if (over) return false
    over = true
    clearTimeout(deadline)
    signal.removeEventListener("abort", onAbort)
    return true
  }
  const fail = (error: Error): void => {
    if (!end()) return
    socket?.destroy()
    then(error, null)
  }
  const onAbort = (): void => fail(new NetError("shut-down", "the connections are being closed"))
  const deadline = setTimeout(
    () => fail(new NetError("connect-timeout", `no connection within ${limitMs} ms`)),
    limitMs
  )
  signal.addEventListener("abort", onAbort, { once: true })

  open((error, opened) => {
    if (error !== null) return fail(ProxyError.unreachable(proxy, error))
    socket = opened
    if (over) {
      opened.destroy()
      return
    }
    const request = Http.request({
      method: "CONNECT",
      path: authority,
      setHost: false,
      headers: {
        host: authority,
        ...(proxy.authorization === null ? {} : { "proxy-authorization": Redacted.value(proxy.authorization) })
      },
      createConnection: () => opened
    })
    request.once("connect", (answer, tunnel: Net.Socket, first: Buffer) => {
      const status = answer.statusCode ?? 0
      if (status < 200 || status > 299) {
        return fail(ProxyError.refusal(proxy, authority, status, answer.statusMessage ?? ""))
      }
      if (!end()) return
      if (first.length > 0) tunnel.unshift(first)
      then(null, tunnel)
    })
    request.on("error", (failure) => fail(ProxyError.unreachable(proxy, failure)))
    request.end()
  })
}
