import { createHash, createHmac, timingSafeEqual } from "node:crypto"
import { type Incoming } from "./dialect.ts"

/**
 * Whether a request bears the signature that AWS would expect, computed by the steps of
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv4-create-signed-request.html. The one account is `test`
 * with the secret `secret`, and any session token but `expired`. How old a signature is does not matter.
 */

const accessKeyId = "test"
const secretAccessKey = "secret"

/** Why a request is refused: AWS's name for it, and its words. */
export interface Refused {
  readonly type: string
  readonly message: string
}

const sha256 = (data: string | Uint8Array): string => createHash("sha256").update(data).digest("hex")

const hmac = (key: string | Uint8Array, data: string): Buffer => createHmac("sha256", key).update(data).digest()

const encoded = (text: string): string =>
  encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`
  )

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** A path is encoded as it came, which is a second time. */
const canonicalPath = (path: string): string => path.split("/").map(encoded).join("/")

const canonicalQuery = (query: URLSearchParams): string =>
  [...query]
    .map(([name, value]): readonly [string, string] => [encoded(name), encoded(value)])
    .toSorted(([a, x], [b, y]) => compare(a, b) || compare(x, y))
    .map((pair) => pair.join("="))
    .join("&")

interface Claim {
  readonly keyId: string
  readonly date: string
  readonly region: string
  readonly service: string
  readonly signedHeaders: ReadonlyArray<string>
  readonly signature: string
}

const claimOf = (authorization: string): Claim | undefined => {
  const found =
    /^AWS4-HMAC-SHA256\s+Credential=([^/,\s]+)\/(\d{8})\/([\w-]+)\/([\w-]+)\/aws4_request,\s*SignedHeaders=([\w;-]+),\s*Signature=([0-9a-f]{64})$/.exec(
      authorization
    )
  if (found === null) return undefined
  const [, keyId = "", date = "", region = "", service = "", headers = "", signature = ""] = found
  return { keyId, date, region, service, signedHeaders: headers.split(";"), signature }
}

const signatureOf = (incoming: Incoming, claim: Claim, moment: string): string => {
  const { headers } = incoming
  const canonicalRequest = [
    incoming.method,
    canonicalPath(incoming.path),
    canonicalQuery(incoming.query),
    ...claim.signedHeaders.map((name) => `${name}:${(headers[name] ?? "").trim().replaceAll(/\s+/g, " ")}`),
    "",
    claim.signedHeaders.join(";"),
    sha256(incoming.body)
  ].join("\n")
  const scope = [claim.date, claim.region, claim.service, "aws4_request"]
  const toSign = ["AWS4-HMAC-SHA256", moment, scope.join("/"), sha256(canonicalRequest)].join("\n")
  const key = scope.reduce<string | Buffer>(hmac, `AWS4${secretAccessKey}`)
  return hmac(key, toSign).toString("hex")
}

const mismatch: Refused = {
  type: "InvalidSignatureException",
  message:
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and " +
    "signing method. Consult the service documentation for details."
}

const unknownKey: Refused = {
  type: "UnrecognizedClientException",
  message: "The security token included in the request is invalid."
}

export const expired: Refused = {
  type: "ExpiredTokenException",
  message: "The security token included in the request is expired"
}

/** `undefined` when all is well. */
export const refused = (incoming: Incoming, service: string): Refused | undefined => {
  const { headers } = incoming
  const authorization = headers["authorization"] ?? ""
  if (authorization === "")
    return { type: "MissingAuthenticationTokenException", message: "Missing Authentication Token" }
  const claim = claimOf(authorization)
  if (claim === undefined) {
    return {
      type: "IncompleteSignatureException",
      message: `Authorization header is not understood: '${authorization}'`
    }
  }
  const moment = headers["x-amz-date"] ?? ""
  if (!moment.startsWith(`${claim.date}T`)) {
    return {
      type: "InvalidSignatureException",
      message: "Date in Credential scope does not match YYYYMMDD from X-Amz-Date"
    }
  }
  if (claim.service !== service) {
    return {
      type: "InvalidSignatureException",
      message: `Credential should be scoped to correct service: '${service}'.`
    }
  }
  const token = headers["x-amz-security-token"]
  const mustBeSigned = ["host", "x-amz-date", ...(token === undefined ? [] : ["x-amz-security-token"])]
  if (mustBeSigned.some((name) => !claim.signedHeaders.includes(name))) return mismatch
  if (token === "expired") return expired
  if (claim.keyId !== accessKeyId) return unknownKey
  const bodyHash = headers["x-amz-content-sha256"]
  if (bodyHash !== undefined && bodyHash !== sha256(incoming.body)) return mismatch
  const expected = Buffer.from(signatureOf(incoming, claim, moment))
  return timingSafeEqual(expected, Buffer.from(claim.signature)) ? undefined : mismatch
}
