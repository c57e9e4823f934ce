import { EventStreamCodec } from "@smithy/eventstream-codec"
import { SignatureV4 } from "@smithy/signature-v4"
import { Sha256 } from "@aws-crypto/sha256-js"
import { type Data, type Incoming } from "../../../../src/simulator/internal/dialect.ts"

const codec = new EventStreamCodec(
  (bytes) => (typeof bytes === "string" ? bytes : Buffer.from(bytes).toString("utf8")),
  (text) => Buffer.from(text)
)

export interface Event {
  readonly headers: { readonly [name: string]: unknown }
  readonly payload: string
}

/** The frames in an answer, as AWS's own codec reads them. It throws on a wrong checksum. */
export const eventsOf = (...data: ReadonlyArray<Data>): ReadonlyArray<Event> => {
  const bytes = Buffer.concat(data.map((part) => Buffer.from(part)))
  const events: Array<Event> = []
  for (let at = 0; at < bytes.length; at += bytes.readUInt32BE(at)) {
    const { body, headers } = codec.decode(bytes.subarray(at, at + bytes.readUInt32BE(at)))
    const names = Object.entries(headers).map(([name, { value }]) => [name, value])
    events.push({ headers: Object.fromEntries(names), payload: Buffer.from(body).toString("latin1") })
  }
  return events
}

/** Signs a request for the account that the server knows. */
export const signed = async (incoming: Incoming, service: string, sessionToken?: string): Promise<Incoming> => {
  const signer = new SignatureV4({
    service,
    region: "us-east-1",
    sha256: Sha256,
    credentials: {
      accessKeyId: "test",
      secretAccessKey: "secret",
      ...(sessionToken === undefined ? {} : { sessionToken })
    }
  })
  const { headers } = await signer.sign({
    method: incoming.method,
    protocol: "http:",
    hostname: "127.0.0.1",
    path: incoming.path,
    headers: { host: "127.0.0.1", ...incoming.headers },
    body: incoming.body
  })
  return { ...incoming, headers }
}
