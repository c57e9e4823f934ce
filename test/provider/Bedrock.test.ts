import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as AwsCredentials from "../../src/provider/AwsCredentials.ts"
import * as Bedrock from "../../src/provider/Bedrock.ts"
import { plan } from "./asking.ts"
import * as AdapterRequest from "./adapterRequest.ts"

const base: Bedrock.Options = {
  model: "anthropic.claude-3-haiku-20240307-v1:0",
  region: "eu-west-3",
  credentials: AwsCredentials.fixed({ accessKeyId: "AKID", secretAccessKey: Redacted.make("s"), sessionToken: null })
}

const requestOf = (options: Partial<Bedrock.Options> = {}, outputTokens: number | null = 20) =>
  AdapterRequest.requestOf(Bedrock.make({ ...base, ...options }), { outputTokens })

const bodyOf = (samplingParams: { readonly [name: string]: unknown }, outputTokens?: number | null) =>
  Effect.map(requestOf({ samplingParams }, outputTokens), ({ body }) => body)

const messages = [{ role: "user", content: [{ text: plan.prompt }] }]

const variables = { AWS_ACCESS_KEY_ID: "AKID", AWS_SECRET_ACCESS_KEY: "secret", AWS_REGION_NAME: "us-east-1" }

describe("Bedrock.make", () => {
  it.effect("signs a request to the model in the region", () =>
    Effect.gen(function* () {
      const { body, headers, provider, url } = yield* requestOf()
      assert.strictEqual(provider.name, "bedrock")
      assert.strictEqual(
        url,
        "https://bedrock-runtime.eu-west-3.amazonaws.com/model/anthropic.claude-3-haiku-20240307-v1%3A0/converse-stream"
      )
      assert.match(
        Object.fromEntries(headers)["authorization"] ?? "",
        /^AWS4-HMAC-SHA256 Credential=AKID\/19700101\/eu-west-3\/bedrock\/aws4_request, /
      )
      assert.deepStrictEqual(body, { messages, inferenceConfig: { maxTokens: 20 } })
    })
  )

  it.effect("asks what an address in full says", () =>
    Effect.gen(function* () {
      const { url } = yield* requestOf({ apiBase: "http://localhost:8080/model/other/converse" })
      assert.strictEqual(url, "http://localhost:8080/model/other/converse-stream")
    })
  )

  it.effect("sends a key instead of a signature", () =>
    Effect.gen(function* () {
      const { headers } = yield* requestOf({ credentials: Redacted.make(" key ") })
      assert.deepStrictEqual(Object.fromEntries(headers), {
        "content-type": "application/json",
        accept: "application/vnd.amazon.eventstream",
        "user-agent": "llmperf",
        authorization: "Bearer key"
      })
    })
  )

  it.effect("puts an ARN into the path as one name", () =>
    Effect.gen(function* () {
      const { url } = yield* requestOf({ model: "arn:aws:bedrock:us-east-1:1:inference-profile/us.m" })
      assert.include(url, "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fus.m/converse-stream")
    })
  )

  it.effect("puts each sampling parameter where it belongs", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* bodyOf({ temperature: 0, top_p: 0.9, stop: "x", top_k: 5 }), {
        messages,
        inferenceConfig: { maxTokens: 20, temperature: 0, topP: 0.9, stopSequences: ["x"] },
        additionalModelRequestFields: { top_k: 5 }
      })
      assert.deepStrictEqual(yield* bodyOf({ max_tokens: 7, stop: ["x", "y"], system: [{ text: "s" }] }), {
        messages,
        inferenceConfig: { maxTokens: 7, stopSequences: ["x", "y"] },
        system: [{ text: "s" }]
      })
      assert.deepStrictEqual(
        yield* bodyOf({ inferenceConfig: { topP: 0.5 }, additionalModelRequestFields: { a: 1 }, b: 2, c: null }),
        { messages, inferenceConfig: { maxTokens: 20, topP: 0.5 }, additionalModelRequestFields: { a: 1, b: 2 } }
      )
    })
  )

  it.effect("leaves out what a null removes, and the limit where there is none", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* bodyOf({ max_tokens: null }), { messages })
      assert.deepStrictEqual(yield* bodyOf({ temperature: 1 }, null), { messages, inferenceConfig: { temperature: 1 } })
      assert.deepStrictEqual(yield* bodyOf({}, null), { messages })
    })
  )
})

describe("Bedrock.layerConfig", () => {
  it.effect("takes what it needs from the variables, a key before all", () =>
    Effect.gen(function* () {
      const layer = Bedrock.layerConfig({ model: "m" })
      const signed = yield* AdapterRequest.configuredRequest(layer, variables)
      assert.strictEqual(signed.url, "https://bedrock-runtime.us-east-1.amazonaws.com/model/m/converse-stream")
      assert.match(Object.fromEntries(signed.headers)["authorization"] ?? "", /^AWS4/)
      const withKey = yield* AdapterRequest.configuredRequest(layer, { ...variables, AWS_BEARER_TOKEN_BEDROCK: "key" })
      assert.strictEqual(Object.fromEntries(withKey.headers)["authorization"], "Bearer key")
      const keyAlone = yield* AdapterRequest.configuredRequest(layer, {
        AWS_REGION: "r",
        AWS_BEARER_TOKEN_BEDROCK: "key"
      })
      assert.strictEqual(keyAlone.provider.origin, "https://bedrock-runtime.r.amazonaws.com")
      const elsewhere = yield* AdapterRequest.configuredRequest(layer, {
        ...variables,
        AWS_ENDPOINT_URL: "http://a:1",
        AWS_ENDPOINT_URL_BEDROCK_RUNTIME: "http://b:2"
      })
      assert.strictEqual(elsewhere.provider.origin, "http://b:2")
    })
  )

  it.effect("names the variable that is missing", () =>
    Effect.gen(function* () {
      const layer = Bedrock.layerConfig({ model: "m" })
      for (const name of ["AWS_REGION_NAME", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] as const) {
        assert.strictEqual(yield* AdapterRequest.missingVariable(layer, { ...variables, [name]: "" }), name)
      }
    })
  )
})
