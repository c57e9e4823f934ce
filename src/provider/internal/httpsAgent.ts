import * as Https from "node:https"
import * as Net from "node:net"
import type { Duplex } from "node:stream"
import type { Connector } from "./netConnector.ts"

/**
 * Lets packages that fetch credentials with Node's own client reach servers as requests do: through the same proxies, trusting
 * the same certificates, within the same limit for opening a connection.
 */
export class HttpsAgent extends Https.Agent {
  readonly #connector: Connector

  constructor(connector: Connector) {
    super()
    this.#connector = connector
  }

  override createConnection(
    options: Https.RequestOptions,
    then?: (error: Error | null, stream: Duplex) => void
  ): undefined {
    const hostname = options.host ?? "localhost"
    const host = hostname.includes(":") ? `[${hostname}]` : hostname
    const route = this.#connector.routeTo(`https://${host}:${options.port ?? 443}`)
    this.#connector.connect(route, null, (error, opened) => {
      // Node's types want a socket beside an error too, which nobody looks at.
      then?.(error, opened?.socket ?? new Net.Socket())
    })
  }
}
