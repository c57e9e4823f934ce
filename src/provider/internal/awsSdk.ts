/**
 * Signatures and frames by AWS's own packages. Only the adapters of AWS import this module, when they are made.
 */
import { createHash, createHmac, type Hash, type Hmac } from "node:crypto"
import { EventStreamCodec } from "@smithy/eventstream-codec"
import { SignatureV4 } from "@smithy/signature-v4"
import type { HashConstructor, SourceData } from "@smithy/types"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { type AwsCredentials } from "../AwsCredentials.ts"
import { type HttpRequest } from "../Transport.ts"
import { type Codec } from "../wire/AwsEventStream.ts"

const bytesOf = (data: SourceData): string | Uint8Array => {
  if (typeof data === "string") return data
  return ArrayBuffer.isView(data) ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : new Uint8Array(data)
}

/** SHA-256 by OpenSSL: prompts are long, and hashing happens between two reads of the sockets. */
const Sha256: HashConstructor = class {
  readonly #hash: Hash | Hmac

  constructor(secret?: SourceData) {
    this.#hash = secret === undefined ? createHash("sha256") : createHmac("sha256", bytesOf(secret))
  }

  update(data: SourceData): void {
    this.#hash.update(bytesOf(data))
  }

  digest(): Promise<Uint8Array> {
    return Promise.resolve(this.#hash.digest())
  }
}

/** Texts in frames are names of a few characters. */
const eventStreamCodec = new EventStreamCodec(
  (bytes) =>
    typeof bytes === "string" ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8"),
  (text) => Buffer.from(text)
)

export const codec: Codec = { decode: (frame) => eventStreamCodec.decode(frame) }

const queryOf = (params: URLSearchParams): { [name: string]: Array<string> } =>
  Object.fromEntries([...new Set(params.keys())].map((name) => [name, params.getAll(name)]))

/** A request with the headers that prove who sends it. `epochSeconds` is the time of the signature. */
export const sign = (
  request: HttpRequest,
  scope: { readonly service: string; readonly region: string },
  credentials: AwsCredentials,
  epochSeconds: number
): Effect.Effect<HttpRequest> => {
  const headers: { [name: string]: string } = {}
  for (let at = 0; at + 1 < request.headers.length; at += 2) {
    headers[request.headers[at]?.toLowerCase() ?? ""] = request.headers[at + 1] ?? ""
  }
  const url = new URL(request.path, request.origin)
  const ownHost = headers["host"]
  const signer = new SignatureV4({
    ...scope,
    sha256: Sha256,
    credentials: {
      accessKeyId: credentials.accessKeyId,
      secretAccessKey: Redacted.value(credentials.secretAccessKey),
      ...(credentials.sessionToken === null ? {} : { sessionToken: Redacted.value(credentials.sessionToken) })
    }
  })
  const toSign = {
    method: "POST",
    protocol: url.protocol,
    hostname: url.hostname,
    path: url.pathname,
    query: queryOf(url.searchParams),
    headers: { host: url.host, ...headers },
    body: request.body
  }
  return Effect.map(
    Effect.promise(() => signer.sign(toSign, { signingDate: epochSeconds })),
    (signed) => {
      // The transport writes this one itself.
      if (ownHost === undefined) delete signed.headers["host"]
      return { ...request, headers: Object.entries(signed.headers).flat() }
    }
  )
}
