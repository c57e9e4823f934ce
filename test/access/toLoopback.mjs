/**
 * Loaded into a program before its own code (`node --import`): every connection to another computer goes to a server on loopback
 * instead, so that what has a fixed address can be asked, and nothing leaves this computer. The host name stays what it was for
 * TLS and HTTP.
 *
 * `TO_LOOPBACK` is JSON: for each port the one on loopback that takes its place. `null` refuses connections, and says so, as in
 * a network where only the proxy leads out; link-local addresses, which are always reached directly, do not count.
 */
import { Socket } from "node:net"

const places = JSON.parse(process.env.TO_LOOPBACK ?? "{}")
const local = /^(127\.|localhost$|::1$)/
const linkLocal = /^169\.254\./
const connect = Socket.prototype.connect

Socket.prototype.connect = function (...args) {
  // `net.connect` and `tls.connect` hand over an array that they have put in order.
  const list = Array.isArray(args[0]) ? args[0] : args
  const [options] = list
  if (typeof options !== "object" || options === null || options.path || local.test(options.host ?? "localhost")) {
    return connect.apply(this, args)
  }
  const place = places[linkLocal.test(options.host) ? "link-local" : options.port]
  if (typeof place !== "number") {
    process.nextTick(() => this.destroy(new Error(`connected directly to ${options.host}:${options.port}`)))
    return this
  }
  list[0] = { ...options, host: "127.0.0.1", port: place, lookup: undefined }
  if (Array.isArray(args[0])) Object.assign(args[0], list)
  return connect.apply(this, args)
}
