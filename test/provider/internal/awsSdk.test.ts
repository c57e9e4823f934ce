import { Sha256 } from "@aws-crypto/sha256-js"
import { assert, describe, it } from "@effect/vitest"
import { SignatureV4 } from "@smithy/signature-v4"
import { createHash } from "node:crypto"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as fc from "fast-check"
import { type AwsCredentials } from "../../../src/provider/AwsCredentials.ts"
import * as AwsSdk from "../../../src/provider/internal/awsSdk.ts"
import { type HttpRequest } from "../../../src/provider/Transport.ts"

const credentials: AwsCredentials = {
  accessKeyId: "AKID",
  secretAccessKey: Redacted.make("very secret"),
  sessionToken: Redacted.make("session")
}

const request: HttpRequest = {
  origin: "https://runtime.sagemaker.us-east-1.amazonaws.com",
  path: "/endpoints/a%20b/invocations-response-stream",
  headers: ["content-type", "application/json", "X-Team", "a  b", "user-agent", "llmperf"],
  body: '{"a":"é漢😀"}'
}

const scope = { service: "sagemaker", region: "us-east-1" }
const moment = 1_440_938_160

const sign = (...args: Parameters<typeof AwsSdk.sign>) => Effect.runPromise(AwsSdk.sign(...args))

const headersOf = ({ headers }: HttpRequest) =>
  Object.fromEntries(Array.from({ length: headers.length / 2 }, (_, i) => [headers[2 * i], headers[2 * i + 1] ?? ""]))

describe("awsSdk.sign", () => {
  it("adds what proves the sender, and leaves the rest as it is", async () => {
    const signed = await sign(request, scope, credentials, moment)
    const { authorization, ...headers } = headersOf(signed)
    assert.deepInclude(signed, { origin: request.origin, path: request.path, body: request.body })
    assert.deepStrictEqual(headers, {
      "content-type": "application/json",
      "x-team": "a  b",
      "user-agent": "llmperf",
      "x-amz-date": "20150830T123600Z",
      "x-amz-security-token": "session",
      "x-amz-content-sha256": createHash("sha256").update(request.body).digest("hex")
    })
    assert.match(
      authorization ?? "",
      /^AWS4-HMAC-SHA256 Credential=AKID\/20150830\/us-east-1\/sagemaker\/aws4_request, SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;x-amz-security-token;x-team, Signature=[0-9a-f]{64}$/
    )
  })

  it("signs as AWS's signer does with AWS's own SHA-256", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: "grapheme" }),
        fc.string({ unit: "grapheme" }),
        fc.nat(1e9),
        async (body, name, seconds) => {
          const path = `/model/${encodeURIComponent(name.toWellFormed())}/converse-stream`
          const signed = await sign({ ...request, path, body: body.toWellFormed() }, scope, credentials, seconds)
          const signer = new SignatureV4({
            ...scope,
            sha256: Sha256,
            credentials: { accessKeyId: "AKID", secretAccessKey: "very secret", sessionToken: "session" }
          })
          const expected = await signer.sign(
            {
              method: "POST",
              protocol: "https:",
              hostname: "runtime.sagemaker.us-east-1.amazonaws.com",
              path,
              headers: {
                host: "runtime.sagemaker.us-east-1.amazonaws.com",
                "content-type": "application/json",
                "x-team": "a  b",
                "user-agent": "llmperf"
              },
              body: body.toWellFormed()
            },
            { signingDate: seconds }
          )
          assert.strictEqual(headersOf(signed)["authorization"], expected.headers["authorization"])
        }
      ),
      { numRuns: 50 }
    )
  })

  it("keeps a host that the user sends, and signs it", async () => {
    const other = { ...request, headers: [...request.headers, "Host", "other.example"] }
    const signed = headersOf(await sign(other, scope, credentials, moment))
    assert.strictEqual(signed["host"], "other.example")
    const plain = headersOf(await sign(request, scope, credentials, moment))
    assert.isUndefined(plain["host"])
    assert.notStrictEqual(signed["authorization"], plain["authorization"])
  })

  it("signs a query as one", async () => {
    const asked = { ...request, path: "/endpoints/a%20b/invocations-response-stream?b=1&a=%2F&b=2" }
    const { authorization } = headersOf(await sign(asked, scope, credentials, moment))
    const signer = new SignatureV4({
      ...scope,
      sha256: Sha256,
      credentials: { accessKeyId: "AKID", secretAccessKey: "very secret", sessionToken: "session" }
    })
    const expected = await signer.sign(
      {
        method: "POST",
        protocol: "https:",
        hostname: "runtime.sagemaker.us-east-1.amazonaws.com",
        path: "/endpoints/a%20b/invocations-response-stream",
        query: { a: "/", b: ["1", "2"] },
        headers: {
          host: "runtime.sagemaker.us-east-1.amazonaws.com",
          "content-type": "application/json",
          "x-team": "a  b"
        },
        body: request.body
      },
      { signingDate: moment }
    )
    assert.strictEqual(authorization, expected.headers["authorization"])
  })

  it("sends no token when there is none", async () => {
    const signed = await sign(request, scope, { ...credentials, sessionToken: null }, moment)
    assert.isUndefined(headersOf(signed)["x-amz-security-token"])
  })
})
