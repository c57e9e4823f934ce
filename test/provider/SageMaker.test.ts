import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as LlmError from "../../src/domain/LlmError.ts"
import * as AwsCredentials from "../../src/provider/AwsCredentials.ts"
import * as SageMaker from "../../src/provider/SageMaker.ts"
import { collect, plan } from "./asking.ts"
import * as AdapterRequest from "./adapterRequest.ts"
import { recording } from "./recording.ts"

const credentials: AwsCredentials.AwsCredentials = {
  accessKeyId: "AKID",
  secretAccessKey: Redacted.make("very secret"),
  sessionToken: null
}

const base: SageMaker.Options = {
  model: "my endpoint",
  region: "eu-west-3",
  credentials: AwsCredentials.fixed(credentials)
}

const requestOf = (options: Partial<SageMaker.Options> = {}, outputTokens: number | null = 20) =>
  AdapterRequest.requestOf(SageMaker.make({ ...base, ...options }), { outputTokens })

const variables = { AWS_ACCESS_KEY_ID: "AKID", AWS_SECRET_ACCESS_KEY: "secret", AWS_REGION_NAME: "us-east-1" }

describe("SageMaker.make", () => {
  it.effect("asks about the payload style when the container does not like the request", () =>
    Effect.gen(function* () {
      const { formats, layer } = recording()
      const provider = yield* Effect.provide(SageMaker.make({ ...base, payload: "tgi" }), layer)
      yield* collect(provider.stream(plan))
      const said = (status: number) =>
        formats[0]?.errorOf(
          JSON.stringify({
            ErrorCode: "CLIENT_ERROR_FROM_MODEL",
            Message: `Received client error (${status}) from primary with message "no".`
          }),
          { "x-amzn-errortype": "ModelError" }
        )?.description ?? ""
      assert.match(said(422), /Received client error \(422\).*payload style tgi; .*--payload-style/)
      assert.match(said(400), /--payload-style/)
      assert.notMatch(said(429), /--payload-style/)
    })
  )

  it.effect("signs a request to the endpoint of the region", () =>
    Effect.gen(function* () {
      const { headers, provider, url } = yield* requestOf({
        headers: { "X-Amzn-SageMaker-Inference-Component": "a" },
        requestId: { header: "X-Request-Id", of: ({ id }) => `run-${id}` }
      })
      assert.strictEqual(provider.name, "sagemaker")
      assert.strictEqual(provider.origin, "https://runtime.sagemaker.eu-west-3.amazonaws.com")
      assert.strictEqual(url, `${provider.origin}/endpoints/my%20endpoint/invocations-response-stream`)
      const { authorization, "x-amz-content-sha256": hash, ...rest } = Object.fromEntries(headers)
      assert.deepStrictEqual(rest, {
        "content-type": "application/json",
        accept: "application/vnd.amazon.eventstream",
        "user-agent": "llmperf",
        "x-amzn-sagemaker-custom-attributes": "accept_eula=true",
        "x-amzn-sagemaker-inference-component": "a",
        "x-request-id": "run-7",
        // The test clock begins with the epoch.
        "x-amz-date": "19700101T000000Z"
      })
      assert.match(hash ?? "", /^[0-9a-f]{64}$/)
      assert.match(
        authorization ?? "",
        /^AWS4-HMAC-SHA256 Credential=AKID\/19700101\/eu-west-3\/sagemaker\/aws4_request, SignedHeaders=[^,]*host[^,]*, Signature=/
      )
    })
  )

  it.effect("goes to another host when told to, and to China's where the region is there", () =>
    Effect.gen(function* () {
      const other = yield* requestOf({ apiBase: "http://localhost:8080/base/" })
      assert.strictEqual(other.url, "http://localhost:8080/base/endpoints/my%20endpoint/invocations-response-stream")
      const full = "http://localhost:8080/base/endpoints/other"
      const whole = yield* requestOf({ apiBase: `${full}/invocations?a=1` })
      assert.strictEqual(whole.url, `${full}/invocations-response-stream?a=1`)
      const china = yield* requestOf({ region: "cn-north-1" })
      assert.strictEqual(china.provider.origin, "https://runtime.sagemaker.cn-north-1.amazonaws.com.cn")
      const error = yield* Effect.flip(requestOf({ apiBase: "localhost" }))
      assert.strictEqual(error.reason._tag, "Protocol")
    })
  )

  it.effect("writes what each kind of container takes", () =>
    Effect.gen(function* () {
      const messages = [{ role: "user", content: plan.prompt }]
      assert.deepStrictEqual((yield* requestOf()).body, {
        messages,
        stream: true,
        stream_options: { include_usage: true },
        max_tokens: 20
      })
      assert.deepStrictEqual(
        (yield* requestOf({
          includeUsage: false,
          ignoreEos: true,
          samplingParams: { model: "m", top_k: 5, max_tokens: null }
        })).body,
        { messages, stream: true, ignore_eos: true, model: "m", top_k: 5 }
      )
      assert.deepStrictEqual((yield* requestOf({ payload: "tgi" })).body, {
        inputs: plan.prompt,
        parameters: { max_new_tokens: 20, details: true },
        stream: true
      })
      assert.deepStrictEqual(
        (yield* requestOf({ payload: "tgi", samplingParams: { max_tokens: 7, temperature: 0.5, details: null } })).body,
        { inputs: plan.prompt, parameters: { max_new_tokens: 7, temperature: 0.5 }, stream: true }
      )
      // TGI refuses 0, and means the same without it.
      assert.deepStrictEqual((yield* requestOf({ payload: "tgi", samplingParams: { temperature: 0 } }, null)).body, {
        inputs: plan.prompt,
        parameters: { details: true },
        stream: true
      })
      assert.deepStrictEqual((yield* requestOf({ payload: "jumpstart", samplingParams: { top_p: 0.9 } })).body, {
        inputs: [
          [
            { role: "system", content: "" },
            { role: "user", content: plan.prompt }
          ]
        ],
        parameters: { max_new_tokens: 20, top_p: 0.9 }
      })
    })
  )

  it.effect("sets no limit of tokens where the plan sets none", () =>
    Effect.gen(function* () {
      for (const payload of ["messages", "tgi", "jumpstart"] as const) {
        assert.notMatch(JSON.stringify((yield* requestOf({ payload }, null)).body), /max_/)
      }
    })
  )

  it.effect("asks for credentials before every request, and fails with why there are none", () =>
    Effect.gen(function* () {
      let asked = 0
      const gone = LlmError.fromReason(new LlmError.MissingCredential({ variable: "V", description: "gone" }))
      const current = Effect.suspend(() =>
        ++asked === 3 ? Effect.fail(gone) : Effect.succeed({ ...credentials, accessKeyId: `K${asked}` })
      )
      const { layer, requests } = recording()
      const provider = yield* Effect.provide(SageMaker.make({ ...base, credentials: { current } }), layer)
      const stream = provider.stream(plan)
      assert.strictEqual(asked, 0)
      assert.isUndefined((yield* collect(stream)).error)
      assert.isUndefined((yield* collect(stream)).error)
      assert.strictEqual((yield* collect(stream)).error, gone)
      assert.deepStrictEqual(
        requests.map(({ headers }) => /Credential=(\w+)/.exec(headers.join())?.[1]),
        ["K1", "K2"]
      )
    })
  )
})

describe("SageMaker.layerConfig", () => {
  it.effect("takes what it needs from the variables", () =>
    Effect.gen(function* () {
      const layer = SageMaker.layerConfig({ model: "e" })
      const { headers, url } = yield* AdapterRequest.configuredRequest(layer, {
        ...variables,
        AWS_SESSION_TOKEN: "session"
      })
      assert.match(url, /^https:\/\/runtime\.sagemaker\.us-east-1\.amazonaws\.com\/endpoints\/e\//)
      assert.strictEqual(Object.fromEntries(headers)["x-amz-security-token"], "session")
      const hosts = [
        [{ AWS_ENDPOINT_URL: "http://a:1" }, "http://a:1"],
        [{ AWS_ENDPOINT_URL: "http://a:1", AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME: "http://b:2" }, "http://b:2"]
      ] as const
      for (const [more, host] of hosts) {
        const seen = yield* AdapterRequest.configuredRequest(layer, { ...variables, ...more })
        assert.strictEqual(seen.provider.origin, host)
      }
    })
  )

  it.effect("finds the region in LLMPerf's variable first, then in AWS's own", () =>
    Effect.gen(function* () {
      const { AWS_REGION_NAME: _, ...keys } = variables
      const regions = [
        [{ AWS_REGION_NAME: "r1", AWS_REGION: "r2", AWS_DEFAULT_REGION: "r3" }, "r1"],
        [{ AWS_REGION: "r2", AWS_DEFAULT_REGION: "r3" }, "r2"],
        [{ AWS_DEFAULT_REGION: "r3" }, "r3"]
      ] as const
      for (const [more, region] of regions) {
        const { url } = yield* AdapterRequest.configuredRequest(SageMaker.layerConfig({ model: "e" }), {
          ...keys,
          ...more
        })
        assert.include(url, `runtime.sagemaker.${region}.amazonaws.com`)
      }
      const given = yield* AdapterRequest.configuredRequest(
        SageMaker.layerConfig({ model: "e", region: "r9" }),
        variables
      )
      assert.include(given.url, "runtime.sagemaker.r9.amazonaws.com")
    })
  )

  it.effect("names the variable that is missing", () =>
    Effect.gen(function* () {
      const layer = SageMaker.layerConfig({ model: "e" })
      for (const name of ["AWS_REGION_NAME", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] as const) {
        assert.strictEqual(yield* AdapterRequest.missingVariable(layer, { ...variables, [name]: " " }), name)
      }
    })
  )
})
