import { Sha256 } from "@aws-crypto/sha256-js"
import { assert, describe, it } from "@effect/vitest"
import { SignatureV4 } from "@smithy/signature-v4"
import * as fc from "fast-check"
import { type Incoming } from "../../../src/simulator/internal/dialect.ts"
import * as sigV4Check from "../../../src/simulator/internal/sigV4Check.ts"

interface Signing {
  readonly path?: string
  readonly query?: { readonly [name: string]: string }
  readonly body?: string
  readonly headers?: { readonly [name: string]: string }
  readonly accessKeyId?: string
  readonly secretAccessKey?: string
  readonly sessionToken?: string
  readonly service?: string
  readonly applyChecksum?: boolean
}

/** A request signed by AWS's own signer, as it comes to the server. */
const signed = async (options: Signing = {}): Promise<Incoming> => {
  const { body = "{}", headers = {}, path = "/model/a%3Ab/converse-stream", query = {} } = options
  const signer = new SignatureV4({
    service: options.service ?? "bedrock",
    region: "eu-west-3",
    sha256: Sha256,
    applyChecksum: options.applyChecksum ?? true,
    credentials: {
      accessKeyId: options.accessKeyId ?? "test",
      secretAccessKey: options.secretAccessKey ?? "secret",
      ...(options.sessionToken === undefined ? {} : { sessionToken: options.sessionToken })
    }
  })
  const request = await signer.sign(
    {
      method: "POST",
      protocol: "http:",
      hostname: "127.0.0.1",
      path,
      query: { ...query },
      headers: { host: "127.0.0.1:8000", "content-type": "application/json", ...headers },
      body
    },
    { signingDate: 1_700_000_000 }
  )
  return {
    method: "POST",
    path,
    query: new URLSearchParams(query),
    headers: { ...request.headers, "content-length": "2", connection: "keep-alive" },
    body: Buffer.from(body)
  }
}

const typeOf = (incoming: Incoming, service = "bedrock") => sigV4Check.refused(incoming, service)?.type

describe("sigV4Check.refused", () => {
  it("takes what AWS's own signer has signed, whatever it is", async () => {
    const text = fc.string({ unit: "grapheme", maxLength: 9 }).map((text) => text.toWellFormed())
    const headerText = fc.stringMatching(/^[ -~]{0,12}$/)
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          body: text,
          path: fc
            .tuple(text, text)
            .map((names) => `/model/${names.map((name) => `x${encodeURIComponent(name)}`).join("/")}`),
          query: fc.dictionary(fc.stringMatching(/^[a-z(*]{1,4}$/), text, { maxKeys: 3 }),
          headers: fc.record({ "x-team": headerText.filter((value) => value.trim() === value) }),
          applyChecksum: fc.boolean(),
          sessionToken: fc.constantFrom("token", "a/b+c==")
        }),
        async (options) => {
          assert.isUndefined(sigV4Check.refused(await signed(options), "bedrock"))
        }
      ),
      { numRuns: 100 }
    )
  })

  it("refuses what was changed after it was signed", async () => {
    const incoming = await signed({ sessionToken: "token", headers: { "x-team": "a" } })
    assert.isUndefined(typeOf(incoming))
    const authorization = incoming.headers["authorization"] ?? ""
    const withHeaders = (headers: { readonly [name: string]: string }): Incoming => ({
      ...incoming,
      headers: { ...incoming.headers, ...headers }
    })
    const changed: ReadonlyArray<Incoming> = [
      { ...incoming, body: Buffer.from("{ }") },
      { ...incoming, path: `${incoming.path}x` },
      { ...incoming, method: "GET" },
      { ...incoming, query: new URLSearchParams("a=1") },
      withHeaders({ "x-team": "b" }),
      withHeaders({ host: "elsewhere" }),
      withHeaders({ "x-amz-security-token": "other" }),
      withHeaders({ "x-amz-date": (incoming.headers["x-amz-date"] ?? "").replace("T22", "T23") }),
      withHeaders({ "x-amz-content-sha256": "0".repeat(64) }),
      withHeaders({ authorization: authorization.replace("eu-west-3", "eu-west-2") }),
      withHeaders({ authorization: authorization.replace(/SignedHeaders=[^,]*/, "SignedHeaders=x-team") }),
      withHeaders({ authorization: authorization.replace(/Signature=.*/, `Signature=${"0".repeat(64)}`) })
    ]
    for (const request of changed) assert.strictEqual(typeOf(request), "InvalidSignatureException")
  })

  it("refuses the wrong secret, key, service, token and form, each as AWS does", async () => {
    assert.strictEqual(typeOf(await signed({ secretAccessKey: "wrong" })), "InvalidSignatureException")
    assert.strictEqual(typeOf(await signed({ accessKeyId: "other" })), "UnrecognizedClientException")
    assert.strictEqual(typeOf(await signed(), "sagemaker"), "InvalidSignatureException")
    assert.strictEqual(typeOf(await signed({ sessionToken: "expired" })), "ExpiredTokenException")
    const incoming = await signed()
    const { authorization: _, ...rest } = incoming.headers
    assert.strictEqual(typeOf({ ...incoming, headers: rest }), "MissingAuthenticationTokenException")
    const basic = { ...incoming.headers, authorization: "Basic x" }
    assert.strictEqual(typeOf({ ...incoming, headers: basic }), "IncompleteSignatureException")
    const old = { ...incoming.headers, "x-amz-date": "20200101T000000Z" }
    assert.strictEqual(typeOf({ ...incoming, headers: old }), "InvalidSignatureException")
  })
})
