import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as OpenAi from "../../src/provider/OpenAi.ts"
import { Provider } from "../../src/provider/Provider.ts"
import { type HttpRequest, type Transport } from "../../src/provider/Transport.ts"
import { collect, plan } from "./asking.ts"
import { bodyOf, good, headersOf, recording, refusal, requestOf as requestIn, urlOf } from "./recording.ts"

const base: OpenAi.Options = { apiBase: "http://host:8000/v1", apiKey: null, model: "m", includeUsage: false }

/** The request that a provider with these options sends. */
const requestOf = (options: Partial<OpenAi.Options>) =>
  Effect.gen(function* () {
    const { layer, requests } = recording()
    const provider = yield* Effect.provide(OpenAi.make({ ...base, ...options }), layer)
    assert.isUndefined((yield* collect(provider.stream(plan))).error)
    assert.strictEqual(requests.length, 1)
    return requests[0]
  })

describe("OpenAi.target", () => {
  it.each([
    ["https://api.openai.com", "https://api.openai.com", "/v1/chat/completions"],
    ["https://api.openai.com/", "https://api.openai.com", "/v1/chat/completions"],
    ["https://api.openai.com/v1", "https://api.openai.com", "/v1/chat/completions"],
    ["https://api.openai.com/v1/", "https://api.openai.com", "/v1/chat/completions"],
    ["https://api.openai.com/v1//", "https://api.openai.com", "/v1/chat/completions"],
    ["https://api.openai.com/v1/chat/completions", "https://api.openai.com", "/v1/chat/completions"],
    ["https://api.openai.com/v1/chat/completions/", "https://api.openai.com", "/v1/chat/completions"],
    ["https://api.openai.com/v1/completions", "https://api.openai.com", "/v1/chat/completions"],
    ["http://localhost:8000/chat/completions", "http://localhost:8000", "/chat/completions"],
    [
      "https://host/openai/deployments/x?api-version=2024-10-21",
      "https://host",
      "/openai/deployments/x/chat/completions?api-version=2024-10-21"
    ],
    ["https://host?key=1", "https://host", "/v1/chat/completions?key=1"],
    [
      "https://generativelanguage.googleapis.com/v1beta/openai/",
      "https://generativelanguage.googleapis.com",
      "/v1beta/openai/chat/completions"
    ],
    ["https://api.fireworks.ai/inference/v1", "https://api.fireworks.ai", "/inference/v1/chat/completions"],
    ["http://[::1]:8080/v1", "http://[::1]:8080", "/v1/chat/completions"],
    [" http://HOST:80/v1#x ", "http://host", "/v1/chat/completions"]
  ])("%s", (apiBase, origin, path) => {
    assert.deepStrictEqual(OpenAi.target(apiBase, "chat"), { origin, path })
  })

  it("gives the address of the completions for any base", () => {
    for (const apiBase of [
      "http://host",
      "http://host/v1",
      "http://host/v1/completions",
      "http://host/v1/chat/completions"
    ]) {
      assert.deepStrictEqual(OpenAi.target(apiBase, "completions"), { origin: "http://host", path: "/v1/completions" })
    }
    assert.strictEqual(OpenAi.target("http://host/completions", "completions")?.path, "/completions")
  })

  it("gives the address of the responses for any base", () => {
    for (const apiBase of ["http://host", "http://host/v1", "http://host/v1/responses", "http://host/v1/responses/"]) {
      assert.deepStrictEqual(OpenAi.target(apiBase, "responses"), { origin: "http://host", path: "/v1/responses" })
      assert.deepStrictEqual(OpenAi.target(apiBase, "chat"), { origin: "http://host", path: "/v1/chat/completions" })
    }
    assert.strictEqual(OpenAi.target("http://host/responses", "responses")?.path, "/responses")
  })

  it.each(["", "host", "localhost:8000", "host/v1", "/v1", "ftp://host/v1", "file:///v1", "http://", "http://a b"])(
    "%j is no address",
    (apiBase) => {
      assert.isNull(OpenAi.target(apiBase, "chat"))
    }
  )
})

describe("OpenAi.make", () => {
  it.effect("refuses what is no address", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        Effect.provide(OpenAi.make({ ...base, apiBase: "localhost:8000" }), recording().layer)
      )
      assert.strictEqual(error.reason._tag, "Protocol")
      assert.include(error.message, "localhost:8000")
    })
  )

  it.effect("tells its name and where connections go", () =>
    Effect.gen(function* () {
      const provider = yield* Effect.provide(OpenAi.make(base), recording().layer)
      assert.strictEqual(provider.name, "openai")
      assert.strictEqual(provider.origin, "http://host:8000")
    })
  )

  it.effect("asks for a chat", () =>
    Effect.gen(function* () {
      const request = yield* requestOf({})
      assert.strictEqual(request?.origin, "http://host:8000")
      assert.strictEqual(request?.path, "/v1/chat/completions")
      assert.deepStrictEqual(bodyOf(request), {
        model: "m",
        messages: [{ role: "user", content: plan.prompt }],
        stream: true,
        max_tokens: 20
      })
      assert.deepStrictEqual(headersOf(request), [
        ["content-type", "application/json"],
        ["accept", "text/event-stream"],
        ["user-agent", "llmperf"]
      ])
    })
  )

  it.effect("asks for a completion", () =>
    Effect.gen(function* () {
      const request = yield* requestOf({ endpoint: "completions" })
      assert.strictEqual(request?.path, "/v1/completions")
      assert.deepStrictEqual(bodyOf(request), { model: "m", prompt: plan.prompt, stream: true, max_tokens: 20 })
    })
  )

  it.effect("asks for a response", () =>
    Effect.gen(function* () {
      const request = yield* requestOf({ endpoint: "responses", includeUsage: true, ignoreEos: true })
      assert.strictEqual(request?.path, "/v1/responses")
      assert.deepStrictEqual(bodyOf(request), {
        model: "m",
        input: plan.prompt,
        stream: true,
        max_output_tokens: 20,
        ignore_eos: true
      })
    })
  )

  it.effect.each(["chat", "completions", "responses"] as const)(
    "sets no limit of its own where the plan has none: %s",
    (endpoint) =>
      Effect.gen(function* () {
        const { layer, requests } = recording()
        const provider = yield* Effect.provide(OpenAi.make({ ...base, endpoint }), layer)
        yield* collect(provider.stream({ ...plan, outputTokens: null }))
        assert.notMatch(requests[0]?.body ?? "", /max_/)
      })
  )

  it.effect("asks a host of Azure's as Azure wants it", () =>
    Effect.gen(function* () {
      const azure = { apiBase: "https://name.openai.azure.com", apiKey: Redacted.make("secret"), model: "my gpt" }
      const request = yield* requestOf(azure)
      assert.strictEqual(
        urlOf(request),
        "https://name.openai.azure.com/openai/deployments/my%20gpt/chat/completions?api-version=2024-10-21"
      )
      assert.deepInclude(headersOf(request), ["api-key", "secret"])
      assert.notInclude(request?.headers ?? [], "authorization")
      const versioned = yield* requestOf({ ...azure, apiVersion: "2024-06-01" })
      assert.match(versioned?.path ?? "", /\?api-version=2024-06-01$/)
      const v1 = yield* requestOf({ ...azure, apiBase: "https://name.openai.azure.com/openai/v1" })
      assert.strictEqual(v1?.path, "/openai/v1/chat/completions")
      assert.deepInclude(headersOf(v1), ["api-key", "secret"])
    })
  )

  it.effect("puts the sampling parameters over everything else, and leaves out what is null", () =>
    Effect.gen(function* () {
      const samplingParams = {
        temperature: 0.5,
        model: "other",
        max_tokens: null,
        max_completion_tokens: 9,
        stop: ["a"],
        not_there: null,
        nested: { kept: null }
      }
      assert.deepStrictEqual(bodyOf(yield* requestOf({ samplingParams, ignoreEos: true })), {
        model: "other",
        messages: [{ role: "user", content: plan.prompt }],
        stream: true,
        max_completion_tokens: 9,
        ignore_eos: true,
        temperature: 0.5,
        stop: ["a"],
        nested: { kept: null }
      })
      const request = yield* requestOf({ samplingParams: { stream_options: null }, includeUsage: true })
      assert.notProperty(bodyOf(request), "stream_options")
    })
  )

  it.effect("sends the key, and headers of the user over its own, whatever their case", () =>
    Effect.gen(function* () {
      const headers = { "Content-Type": "application/json; charset=utf-8", "X-Team": "a", "x-team": "b" }
      const request = yield* requestOf({ apiKey: Redacted.make("secret"), headers })
      assert.deepStrictEqual(headersOf(request), [
        ["content-type", "application/json; charset=utf-8"],
        ["accept", "text/event-stream"],
        ["user-agent", "llmperf"],
        ["authorization", "Bearer secret"],
        ["x-team", "b"]
      ])
      const own = yield* requestOf({ apiKey: Redacted.make("secret"), headers: { Authorization: "Basic x" } })
      assert.deepStrictEqual(headersOf(own).at(-1), ["authorization", "Basic x"])
    })
  )

  it.effect("sends a key without the blanks that came with it", () =>
    Effect.gen(function* () {
      const request = yield* requestOf({ apiKey: Redacted.make(" secret\n") })
      assert.deepInclude(headersOf(request), ["authorization", "Bearer secret"])
    })
  )

  it.effect("sends the id of the request in the header asked for", () =>
    Effect.gen(function* () {
      const of = ({ id }: { readonly id: number }) => `run-${id}`
      const request = yield* requestOf({ requestId: { header: "x-request-id", of } })
      assert.deepStrictEqual(headersOf(request).at(-1), ["x-request-id", "run-7"])
      assert.deepStrictEqual(headersOf(yield* requestOf({ requestId: null })), headersOf(yield* requestOf({})))
    })
  )

  it.effect("a request id that the user sets stands alone", () =>
    Effect.gen(function* () {
      const request = yield* requestOf({
        requestId: { header: "X-Request-Id", of: () => "ours" },
        headers: { "x-request-ID": "theirs" }
      })
      assert.deepStrictEqual(
        headersOf(request).filter(([name]) => name.toLowerCase() === "x-request-id"),
        [["x-request-id", "theirs"]]
      )
    })
  )
})

describe("OpenAi: usage in every chunk", () => {
  const optionsOf = (request: HttpRequest): unknown => {
    const body = bodyOf(request)
    return typeof body === "object" && body !== null && "stream_options" in body ? body.stream_options : null
  }
  const all = { include_usage: true, continuous_usage_stats: true }
  const asked = { ...base, includeUsage: undefined, usagePerChunk: true }

  it.effect("is asked for when it is wanted, and only with usage", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(optionsOf((yield* requestOf(asked)) ?? assert.fail("nothing was sent")), all)
      assert.isNull(optionsOf((yield* requestOf({ ...asked, includeUsage: false })) ?? assert.fail("nothing was sent")))
    })
  )

  it.effect("is left out, and usage kept, when the server refuses it", () =>
    Effect.gen(function* () {
      const { layer, requests } = recording((request) =>
        request.body.includes("continuous_usage_stats")
          ? refusal(400, "Unknown parameter: 'stream_options.continuous_usage_stats'.")
          : good
      )
      const provider = yield* Effect.provide(OpenAi.make(asked), layer)
      for (let i = 0; i < 2; i++) assert.isUndefined((yield* collect(provider.stream(plan))).error)
      assert.deepStrictEqual(requests.map(optionsOf), [all, { include_usage: true }, { include_usage: true }])
    })
  )
})

describe("OpenAi: usage", () => {
  const asks = (request: HttpRequest | undefined): boolean => {
    const body = bodyOf(request)
    const asking = typeof body === "object" && body !== null && "stream_options" in body
    if (asking) assert.deepStrictEqual(body.stream_options, { include_usage: true })
    return asking
  }
  const refusing = (status: number, body: string) =>
    recording((request) => (asks(request) ? refusal(status, body) : good))
  const make = (layer: Layer.Layer<Transport>) =>
    Effect.provide(OpenAi.make({ ...base, includeUsage: undefined }), layer)

  it.effect("asks for it each time when the server gives it", () =>
    Effect.gen(function* () {
      const { layer, requests } = recording()
      const provider = yield* make(layer)
      for (let i = 0; i < 3; i++) yield* collect(provider.stream(plan))
      assert.deepStrictEqual(requests.map(asks), [true, true, true])
    })
  )

  it.effect.each([
    [400, "Unrecognized request argument supplied: stream_options"],
    [400, "Unknown parameter: 'stream_options.include_usage'."],
    [422, `{"detail":[{"type":"extra_forbidden","loc":["body","stream_options"]}]}`]
  ] as const)("asks once more without, and never again, when the server refuses with %j", ([status, body]) =>
    Effect.gen(function* () {
      const { layer, requests } = refusing(status, body)
      const provider = yield* make(layer)
      for (let i = 0; i < 3; i++) {
        const { error, events } = yield* collect(provider.stream(plan))
        assert.isUndefined(error)
        assert.strictEqual(events.at(-1)?._tag, "Ended")
      }
      assert.deepStrictEqual(requests.map(asks), [true, false, false, false])
    })
  )

  it.effect.each([
    [400, "The model `m` does not exist"],
    [500, "stream_options broke us"],
    [404, "stream_options"]
  ] as const)("does not ask again on %j", ([status, body]) =>
    Effect.gen(function* () {
      const { layer, requests } = refusing(status, body)
      const provider = yield* make(layer)
      for (let i = 0; i < 2; i++) assert.strictEqual((yield* collect(provider.stream(plan))).error?.errorCode, status)
      assert.deepStrictEqual(requests.map(asks), [true, true])
    })
  )

  it.effect("does not ask a third time when the request is refused without it, too", () =>
    Effect.gen(function* () {
      const { layer, requests } = recording(() => refusal(400, "stream_options is the least of it"))
      const provider = yield* make(layer)
      assert.strictEqual((yield* collect(provider.stream(plan))).error?.errorCode, 400)
      assert.deepStrictEqual(requests.map(asks), [true, false])
    })
  )

  it.effect("takes a refusal that comes after a given answer for what it is", () =>
    Effect.gen(function* () {
      let ordinal = 0
      const { layer, requests } = recording(() => (++ordinal === 1 ? good : refusal(400, "stream_options")))
      const provider = yield* make(layer)
      assert.isUndefined((yield* collect(provider.stream(plan))).error)
      assert.strictEqual((yield* collect(provider.stream(plan))).error?.errorCode, 400)
      assert.deepStrictEqual(requests.map(asks), [true, true])
    })
  )

  it.effect("never asks when told not to", () =>
    Effect.gen(function* () {
      assert.isFalse(asks(yield* requestOf({ includeUsage: false })))
      assert.isTrue(asks(yield* requestOf({ includeUsage: true })))
    })
  )
})

describe("OpenAi: the limit of tokens", () => {
  const refused =
    "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
  const limits = (request: HttpRequest | undefined) =>
    /"(max_\w+)":20/.exec(request?.body ?? "")?.[1] + (request?.body.includes("stream_options") ? " usage" : "")

  it.effect("has its newer name for models that do not take the older one", () =>
    Effect.gen(function* () {
      const { layer, requests } = recording(({ body }) => (body.includes("max_tokens") ? refusal(400, refused) : good))
      const provider = yield* Effect.provide(OpenAi.make({ ...base, includeUsage: undefined }), layer)
      for (let i = 0; i < 2; i++) assert.isUndefined((yield* collect(provider.stream(plan))).error)
      assert.deepStrictEqual(requests.map(limits), [
        "max_tokens usage",
        "max_completion_tokens usage",
        "max_completion_tokens usage"
      ])
    })
  )

  it.effect("and the usage may be refused as well", () =>
    Effect.gen(function* () {
      const { layer, requests } = recording(({ body }) =>
        body.includes("stream_options")
          ? refusal(400, "Unknown parameter: 'stream_options'.")
          : body.includes("max_tokens")
            ? refusal(400, refused)
            : good
      )
      const provider = yield* Effect.provide(OpenAi.make({ ...base, includeUsage: undefined }), layer)
      for (let i = 0; i < 2; i++) assert.isUndefined((yield* collect(provider.stream(plan))).error)
      assert.deepStrictEqual(requests.map(limits), [
        "max_tokens usage",
        "max_tokens",
        "max_completion_tokens",
        "max_completion_tokens"
      ])
    })
  )

  it.effect.each([
    "'max_tokens' or 'max_completion_tokens' is too large: 9000. This model supports at most 4096 completion tokens.",
    "max_completion_tokens must be positive"
  ])("keeps its name on any other refusal: %s", (text) =>
    Effect.gen(function* () {
      const { layer, requests } = recording(() => refusal(400, text))
      const provider = yield* Effect.provide(OpenAi.make(base), layer)
      assert.strictEqual((yield* collect(provider.stream(plan))).error?.errorCode, 400)
      assert.deepStrictEqual(requests.map(limits), ["max_tokens"])
    })
  )
})

describe("the endpoint", () => {
  it.effect.each([
    ["https://host/v1/chat/completions", undefined, "/v1/chat/completions"],
    ["https://host/v1/completions", undefined, "/v1/completions"],
    ["https://host/v1/completions/", "completions", "/v1/completions"],
    ["https://host/v1/responses?a=1", undefined, "/v1/responses?a=1"],
    ["https://host/v1", undefined, "/v1/chat/completions"],
    ["https://host/v1", "responses", "/v1/responses"]
  ] as const)("of %s and %s", ([apiBase, endpoint, path]) =>
    Effect.gen(function* () {
      const request = yield* requestOf({ apiBase, endpoint })
      assert.strictEqual(request?.path, path)
      const wanted = path.includes("chat") ? "messages" : path.includes("responses") ? "input" : "prompt"
      assert.property(bodyOf(request), wanted)
    })
  )

  it.effect.each([
    ["https://host/v1/completions", "chat"],
    ["https://host/v1/chat/completions", "completions"],
    ["https://host/v1/responses", "chat"],
    ["https://name.openai.azure.com/openai/v1/responses", "completions"]
  ] as const)("is not %s and %s at once", ([apiBase, endpoint]) =>
    Effect.gen(function* () {
      const { layer, requests } = recording()
      const error = yield* Effect.flip(Effect.provide(OpenAi.make({ ...base, apiBase, endpoint }), layer))
      assert.match(error.message, /^The API base ends in \/\S+, and the endpoint is to be \w+ .*: leave out --endpoint/)
      assert.deepStrictEqual(requests, [])
    })
  )
})

describe("OpenAi.layerConfig", () => {
  const environment = (variables: { readonly [name: string]: string }) =>
    ConfigProvider.layer(ConfigProvider.fromEnvRecord(variables))
  const failing = (variables: { readonly [name: string]: string }, apiBase?: string) => {
    const { layer, requests } = recording()
    return Effect.gen(function* () {
      const error = yield* Effect.flip(Effect.scoped(Layer.build(OpenAi.layerConfig({ model: "m", apiBase }))))
      assert.deepStrictEqual(requests, [])
      assert.strictEqual(error._tag, "LlmError")
      return error
    }).pipe(Effect.provide([layer, environment(variables)]))
  }

  it.effect.each([
    ["nothing", {}, "OPENAI_API_BASE"],
    ["no base", { OPENAI_API_KEY: "k" }, "OPENAI_API_BASE"],
    ["an empty base", { OPENAI_API_BASE: "", OPENAI_API_KEY: "k" }, "OPENAI_API_BASE"],
    ["a blank base", { OPENAI_API_BASE: "  ", OPENAI_API_KEY: "k" }, "OPENAI_API_BASE"],
    ["no key", { OPENAI_API_BASE: "https://api.example" }, "OPENAI_API_KEY"],
    ["an empty key", { OPENAI_API_BASE: "https://api.example", OPENAI_API_KEY: "" }, "OPENAI_API_KEY"],
    ["a blank key", { OPENAI_BASE_URL: "https://api.example", OPENAI_API_KEY: "\n" }, "OPENAI_API_KEY"]
  ] as const)("names what is missing when the environment has %s", ([_name, variables, variable]) =>
    Effect.gen(function* () {
      const error = yield* failing(variables)
      assert.strictEqual(error._tag === "LlmError" && error.errorCode, "missing_credential")
      assert.match(error.message, new RegExp(`^${variable} must be set: `))
      if (error._tag === "LlmError") assert.deepInclude(error.reason, { _tag: "MissingCredential", variable })
    })
  )

  it.effect("needs the key with a base given by the caller, too", () =>
    Effect.gen(function* () {
      assert.include((yield* failing({}, "https://api.example")).message, "OPENAI_API_KEY")
      assert.include(
        (yield* failing({ OPENAI_API_BASE: "http://x", OPENAI_API_KEY: "k" }, " ")).message,
        "OPENAI_API_BASE"
      )
    })
  )

  it.effect.each([
    [{ OPENAI_BASE_URL: "api.example" }, /address: api\.example \(OPENAI_BASE_URL says so\)$/],
    [
      { OPENAI_API_BASE: "one.example", OPENAI_BASE_URL: "https://two" },
      /address: one\.example \(OPENAI_API_BASE says so\)$/
    ]
  ] as const)("says which variable holds no address: %j", ([variables, message]) =>
    Effect.gen(function* () {
      assert.match((yield* failing({ OPENAI_API_KEY: "k", ...variables })).message, message)
    })
  )

  it.effect.each([
    [{ OPENAI_BASE_URL: "http://sdk:1/v1" }, "http://sdk:1/v1/chat/completions"],
    [{ OPENAI_API_BASE: " ", OPENAI_BASE_URL: "http://sdk:1/v1" }, "http://sdk:1/v1/chat/completions"],
    [{ OPENAI_API_BASE: "http://old:1/v1", OPENAI_BASE_URL: "http://sdk:1/v1" }, "http://old:1/v1/chat/completions"]
  ] as const)("takes OPENAI_BASE_URL where there is no OPENAI_API_BASE: %j", ([variables, url]) =>
    Effect.gen(function* () {
      const request = yield* requestIn(OpenAi.layerConfig({ model: "m" }), variables)
      assert.strictEqual(urlOf(request), url)
    })
  )

  it.effect.each([
    "http://localhost:8000",
    "http://llm.localhost",
    "http://127.0.0.1:8000/v1",
    "http://127.8.9.1",
    "http://[::1]:8000",
    "http://0.0.0.0:8000",
    "http://10.1.2.3",
    "https://172.16.0.1",
    "http://172.31.255.255",
    "http://192.168.178.20",
    "http://169.254.1.1",
    "http://[fd00::1]",
    "http://[fe80::1]",
    "http://[::ffff:10.0.0.1]",
    "http://gpu-box:8000",
    "http://gpu.local",
    "http://vllm.llm.svc.cluster.local",
    "http://host.docker.internal:8000"
  ])("asks for no key for %s, and sends none", (apiBase) =>
    Effect.gen(function* () {
      const names = (request: HttpRequest | undefined) => headersOf(request).map(([name]) => name)
      const none = yield* requestIn(OpenAi.layerConfig({ model: "m", apiBase }), { OPENAI_API_KEY: " " })
      assert.notInclude(names(none), "authorization")
      const given = yield* requestIn(OpenAi.layerConfig({ model: "m", apiBase }), { OPENAI_API_KEY: "k" })
      assert.deepInclude(headersOf(given), ["authorization", "Bearer k"])
    })
  )

  it.effect.each([
    "https://api.openai.com",
    "http://8.8.8.8",
    "http://172.32.0.1",
    "http://192.169.0.1",
    "http://11.0.0.1",
    "http://[2001:db8::1]",
    "http://local.example",
    "http://10.example.com"
  ])("needs a key for %s", (apiBase) =>
    Effect.gen(function* () {
      assert.include((yield* failing({}, apiBase)).message, "OPENAI_API_KEY must be set")
    })
  )

  it.effect("says which address is asked, and which variable holds no key", () =>
    Effect.gen(function* () {
      const apiBase = "http://127.0.0.1:4000/v1?api_key=secret"
      const service = (variables: { readonly [name: string]: string }, headers = {}) =>
        Effect.provide(
          Effect.service(Provider),
          OpenAi.layerConfig({ model: "m", apiBase, headers }).pipe(
            Layer.provide([recording().layer, environment(variables)])
          )
        )
      const { unsetKey, url } = yield* service({})
      assert.strictEqual(url, "http://127.0.0.1:4000/v1/chat/completions?api_key=<6 characters>")
      assert.strictEqual(unsetKey, "OPENAI_API_KEY")
      assert.isUndefined((yield* service({ OPENAI_API_KEY: "k" })).unsetKey)
      assert.isUndefined((yield* service({}, { "X-Api-Key": "k" })).unsetKey)
    })
  )

  it.effect("takes base and key from the environment, and the caller's base over it", () =>
    Effect.gen(function* () {
      const variables = { OPENAI_API_BASE: "http://env:1/v1", OPENAI_API_KEY: "secret" }
      const { layer, requests } = recording()
      for (const apiBase of [undefined, "http://given:2"]) {
        const openAi = OpenAi.layerConfig({ model: "m", apiBase }).pipe(Layer.provide([layer, environment(variables)]))
        yield* Effect.gen(function* () {
          yield* collect((yield* Provider).stream(plan))
        }).pipe(Effect.provide(openAi))
      }
      assert.deepStrictEqual(
        requests.map(({ origin, path }) => origin + path),
        ["http://env:1/v1/chat/completions", "http://given:2/v1/chat/completions"]
      )
      for (const request of requests) assert.deepInclude(headersOf(request), ["authorization", "Bearer secret"])
    })
  )
})

describe("OpenAi.layerConfig on Azure", () => {
  it.effect.each([
    [
      "https://n.openai.azure.com/openai/deployments/d",
      "/openai/deployments/d/chat/completions?api-version=2023-05-15"
    ],
    [
      "https://n.openai.azure.com/openai/deployments/d?api-version=2024-02-01",
      "/openai/deployments/d/chat/completions?api-version=2024-02-01"
    ],
    ["https://gateway.example/v1", "/v1/chat/completions"]
  ] as const)("takes the version from OPENAI_API_VERSION where the base has none: %s", ([apiBase, path]) =>
    Effect.gen(function* () {
      const request = yield* requestIn(OpenAi.layerConfig({ model: "m" }), {
        OPENAI_API_BASE: apiBase,
        OPENAI_API_KEY: "k",
        OPENAI_API_VERSION: "2023-05-15"
      })
      assert.strictEqual(request?.path, path)
    })
  )
})

describe("OpenAi.layer", () => {
  it.effect("gives the provider", () =>
    Effect.gen(function* () {
      const { layer, requests } = recording()
      yield* Effect.gen(function* () {
        yield* collect((yield* Provider).stream(plan))
      }).pipe(Effect.provide(OpenAi.layer(base).pipe(Layer.provide(layer))))
      assert.strictEqual(requests.length, 1)
    })
  )
})
