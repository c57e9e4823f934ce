import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Transport from "../../src/provider/Transport.ts"
import * as VertexAi from "../../src/provider/VertexAi.ts"
import { type Asked, collect, find, plan, tagsOf, textOf } from "./asking.ts"
import {
  askAt,
  askSimulator,
  check,
  checkFaults,
  contentsOf,
  type Expected,
  type Make,
  simulator,
  success,
  tokens
} from "./simulated.ts"
import { answer, type Received, raw } from "./servers.ts"
import { transcript } from "./wire/decoding.ts"

const base = { projectId: "p", region: "us-central1" }

/** Each way; where an endpoint is asked its id is the model. */
const asking = (way: "predict" | "chat" | "anthropic" | "publisher", accessToken = "ya29.good"): Make => {
  const given = { ...base, accessToken: Redacted.make(accessToken) }
  return (apiBase, model) => {
    switch (way) {
      case "predict":
        return VertexAi.make({ ...given, apiBase, model: "label", endpointId: model })
      case "chat":
        return VertexAi.make({ ...given, apiBase, model: "m", endpointId: model, route: "raw" })
      case "anthropic":
        return VertexAi.make({ ...given, apiBase, model, publisher: "anthropic" })
      case "publisher":
        return VertexAi.make({ ...given, apiBase, model, route: "publisher" })
    }
  }
}

const notValid = /^HTTP 401: The access token is not valid or has expired: .*gcloud auth print-access-token/

const unauthenticated: Expected = { reason: "HttpStatus", code: 401, message: notValid }

const overloaded = (code: number | string): Expected => ({
  reason: "InStream",
  code,
  message: /^The model is overloaded$/,
  chunks: 3
})

/** An answer in one piece has no chunks, and nothing goes wrong in the middle of it. */
const predicted: { readonly [fault: string]: Expected } = {
  "401": unauthenticated,
  "404": { reason: "HttpStatus", code: 404, message: /^HTTP 404: The model .* does not exist\.$/ },
  "429": { reason: "RateLimited", code: 429, message: /^HTTP 429: Rate limit reached for requests\.$/ },
  "500": { reason: "HttpStatus", code: 500, message: /^HTTP 500: The server had an error\.$/ },
  "503": { reason: "HttpStatus", code: 503, message: /^HTTP 503: The server is overloaded\.$/ },
  html: { reason: "HttpStatus", code: 502, message: /^HTTP 502: <html>.*502 Bad Gateway/ },
  "html-200": { reason: "Protocol", code: "protocol_error", message: /^The answer is not JSON: <html>.*Sign in/ },
  redirect: { reason: "HttpStatus", code: 307, message: /redirected to \/redirected\/v1/ },
  reset: {
    reason: "ConnectionLost",
    code: "connection_lost",
    message: /^The connection was lost before the response began: /
  },
  close: {
    reason: "ConnectionLost",
    code: "connection_lost",
    message: /^The connection was lost before the response began: /
  },
  stall: { reason: "Timeout", code: "timeout_headers", message: /^Timed out \(headers\) after 2 s$/ },
  "slow-headers:40": { chunks: 0 },
  utf8: { chunks: 0 }
}

describe("VertexAi against the simulated server", () => {
  it.live("reads a prediction, which has no first token", () =>
    Effect.gen(function* () {
      const asked = yield* askSimulator(asking("predict"))
      assert.isUndefined(asked.error)
      assert.deepStrictEqual(tagsOf(asked), ["Sent", "ResponseStarted", "Whole", "Ended"])
      const text = find(asked, "Whole")?.text ?? ""
      assert.strictEqual(text.split(" ").length, tokens)
      assert.notInclude(text, plan.prompt)
    }).pipe(Effect.provide(simulator))
  )

  it.live.each([
    ["chat", "length", "stop"],
    ["anthropic", "max_tokens", "end_turn"],
    ["publisher", "MAX_TOKENS", "STOP"]
  ] as const)("reads a good answer: %j", ([way, limit, stop]) =>
    Effect.gen(function* () {
      const asked = yield* askSimulator(asking(way))
      assert.isUndefined(asked.error)
      const tags = tagsOf(asked).filter((tag) => tag !== "Usage")
      assert.deepStrictEqual(tags, ["Sent", "ResponseStarted", "Content", "Finished", "Ended"])
      assert.strictEqual(textOf(asked).split(" ").length, tokens)
      assert.strictEqual(find(asked, "Finished")?.reason, stop)
      const usage = asked.events.findLast((event) => event._tag === "Usage")
      assert.deepInclude(usage, { outputTokens: tokens })
      assert.strictEqual(find(yield* askSimulator(asking(way), ["n=20"]), "Finished")?.reason, limit)
    }).pipe(Effect.provide(simulator))
  )

  it.live("reads reasoning and tools", () =>
    Effect.gen(function* () {
      for (const way of ["chat", "anthropic", "publisher"] as const) {
        assert.deepStrictEqual(contentsOf(yield* askSimulator(asking(way), ["reason=3"])), [
          ["reasoning", 3],
          ["text", tokens - 3]
        ])
        const kinds = contentsOf(yield* askSimulator(asking(way), ["tool"]))
        assert.deepStrictEqual(
          kinds.map(([kind]) => kind),
          ["tool"]
        )
      }
    }).pipe(Effect.provide(simulator))
  )

  it.live(
    "each fault becomes the right failure, or the right answer: predict",
    () =>
      Effect.forEach(
        Object.entries(predicted),
        ([fault, expected]) =>
          Effect.map(
            askSimulator(asking("predict"), [`fault=${fault}`], fault === "stall" ? { idleSeconds: 2 } : {}),
            (asked) => check(fault, asked, expected)
          ),
        { concurrency: "unbounded" }
      ).pipe(Effect.provide(simulator)),
    { concurrent: true }
  )

  it.live(
    "each fault becomes the right failure, or the right answer: chat",
    () =>
      checkFaults(asking("chat"), {
        "401": unauthenticated,
        "error:3": overloaded(503),
        tool: { chunks: tokens }
      }).pipe(Effect.provide(simulator)),
    { concurrent: true }
  )

  it.live(
    "each fault becomes the right failure, or the right answer: anthropic",
    () =>
      checkFaults(asking("anthropic"), {
        "401": unauthenticated,
        "error:3": overloaded("overloaded_error"),
        // The name of the tool is a chunk, too.
        tool: { chunks: tokens + 1 }
      }).pipe(Effect.provide(simulator)),
    { concurrent: true }
  )

  it.live(
    "each fault becomes the right failure, or the right answer: publisher",
    () =>
      checkFaults(asking("publisher"), {
        "401": unauthenticated,
        "error:3": overloaded(503),
        // Nothing marks the end, so what comes before the body ends belongs to it.
        "after-done": { reason: "Protocol", code: "protocol_error", message: /not JSON/, chunks: tokens },
        tool: success
      }).pipe(Effect.provide(simulator)),
    { concurrent: true }
  )

  it.live("keeps what the server says about its limits", () =>
    Effect.gen(function* () {
      for (const way of ["predict", "chat", "anthropic", "publisher"] as const) {
        const asked = yield* askSimulator(asking(way), ["fault=429"])
        assert.deepInclude(asked.error?.reason, { _tag: "RateLimited", retryAfterSeconds: 1 })
        assert.deepInclude(find(asked, "ResponseStarted")?.rateLimit, { "x-ratelimit-remaining-requests": "0" })
      }
    }).pipe(Effect.provide(simulator))
  )

  it.live("tells an expired token from a wrong one, and what to do", () =>
    Effect.gen(function* () {
      for (const way of ["predict", "chat", "anthropic", "publisher"] as const) {
        const expired = yield* askSimulator(asking(way, "expired"))
        assert.deepInclude(expired.error?.reason, { _tag: "HttpStatus", status: 401 })
        assert.strictEqual(expired.error?.errorCode, 401)
        // The token itself, which is this very word here, is shown nowhere.
        assert.match(
          expired.error?.message ?? "",
          /^HTTP 401: The access token has \*\*\*: .*`gcloud auth print-access-token`.*GCLOUD_ACCESS_TOKEN/
        )
        const wrong = yield* askSimulator(asking(way, "wrong"))
        assert.match(wrong.error?.message ?? "", notValid)
      }
    }).pipe(Effect.provide(simulator))
  )
})

describe("VertexAi against answers as Google documents them", () => {
  it.live.each([
    ["vertex-expired.json", "401 Unauthorized", /^HTTP 401: The access token has expired: /],
    ["vertex-wrong-token.json", "401 Unauthorized", /^HTTP 401: The access token is not valid or has expired: /],
    ["vertex-quota.json", "429 Too Many Requests", /^HTTP 429: Resource exhausted\. Please try again later\./],
    ["vertex-quota.json", "200 OK", /^Resource exhausted\./]
  ] as const)("%j", ([name, status, message]) =>
    Effect.gen(function* () {
      const server = yield* raw((socket) =>
        socket.write(answer(status, transcript(name), { "content-type": "application/json; charset=UTF-8" }))
      )
      const asked = yield* askAt(server.url, "gemini-2.0-flash", asking("publisher"))
      assert.match(asked.error?.message ?? "", message)
    })
  )
})

/** Sets environment variables for Google's library, which reads them itself, until the scope closes. */
const environment = (variables: { readonly [name: string]: string | undefined }) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const before = Object.keys(variables).map((name) => [name, process.env[name]] as const)
      const set = (entries: ReadonlyArray<readonly [string, string | undefined]>): void => {
        for (const [name, value] of entries) {
          if (value === undefined) delete process.env[name]
          else process.env[name] = value
        }
      }
      set(Object.entries(variables))
      return () => set(before)
    }),
    (restore) => Effect.sync(restore)
  )

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "vertex-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

const goodAnswer = answer("200 OK", transcript("vertex-text.sse"), { "content-type": "text/event-stream" })

const headerOf = (received: Received | undefined, name: string) =>
  received?.headers.find(([header]) => header === name)?.[1]

const json = (value: unknown, headers: { readonly [name: string]: string } = {}) =>
  answer("200 OK", JSON.stringify(value), { "content-type": "application/json", connection: "close", ...headers })

/** A provider with application-default credentials, and a server that it asks. */
const withDefaultCredentials = Effect.gen(function* () {
  const vertex = yield* raw((socket) => socket.write(goodAnswer))
  const transport = yield* Transport.make({ flushMs: 5 })
  const provider = yield* Effect.provideService(
    VertexAi.make({ ...base, apiBase: vertex.url, model: "gemini-2.0-flash", accessToken: null }),
    Transport.Transport,
    transport
  )
  return {
    vertex,
    ask: Effect.map(collect(provider.stream(plan)), (asked: Asked) => {
      assert.isUndefined(asked.error)
      assert.strictEqual(textOf(asked), "Shall I compare thee to a summer's day?")
    })
  }
})

describe("VertexAi with application-default credentials", () => {
  it.live("takes tokens from the metadata server and renews them", () =>
    Effect.gen(function* () {
      let issued = 0
      const metadata = yield* raw((socket, { line }) => {
        const flavor = { "metadata-flavor": "Google" }
        if (!line.includes("/token")) return void socket.write(json("p", flavor))
        issued += 1
        // The first is as good as expired.
        socket.write(
          json({ access_token: `token-${issued}`, expires_in: issued === 1 ? 1 : 3_600, token_type: "Bearer" }, flavor)
        )
      })
      yield* environment({
        GCE_METADATA_HOST: `127.0.0.1:${metadata.port}`,
        GOOGLE_APPLICATION_CREDENTIALS: undefined,
        CLOUDSDK_CONFIG: yield* folder,
        GOOGLE_CLOUD_PROJECT: "p"
      })
      const { ask, vertex } = yield* withDefaultCredentials
      assert.strictEqual(issued, 1)
      const used = () => headerOf(vertex.received.at(-1), "authorization")
      for (let i = 0; i < 300 && used() !== "Bearer token-2"; i++) {
        yield* ask
        assert.include(["Bearer token-1", "Bearer token-2"], used())
        yield* Effect.sleep(10)
      }
      assert.strictEqual(used(), "Bearer token-2")
      assert.strictEqual(issued, 2)
      assert.isUndefined(headerOf(vertex.received.at(-1), "x-goog-user-project"))
    })
  )

  it.live("replaces revoked tokens once for all requests, of which none fails", () =>
    Effect.gen(function* () {
      let issued = 0
      let revoked = 0
      const metadata = yield* raw((socket, { line }) => {
        const flavor = { "metadata-flavor": "Google" }
        if (!line.includes("/token")) return void socket.write(json("p", flavor))
        issued += 1
        socket.write(json({ access_token: `token-${issued}`, expires_in: 3_600, token_type: "Bearer" }, flavor))
      })
      yield* environment({
        GCE_METADATA_HOST: `127.0.0.1:${metadata.port}`,
        GOOGLE_APPLICATION_CREDENTIALS: undefined,
        CLOUDSDK_CONFIG: yield* folder,
        GOOGLE_CLOUD_PROJECT: "p"
      })
      const refused = answer("401 Unauthorized", transcript("vertex-expired.json"), {
        "content-type": "application/json"
      })
      const vertex = yield* raw((socket, received) => {
        const token = Number(/^Bearer token-(\d+)$/.exec(headerOf(received, "authorization") ?? "")?.[1])
        socket.write(token > revoked ? goodAnswer : refused)
      })
      const transport = yield* Transport.make({ flushMs: 5 })
      const provider = yield* Effect.provideService(
        VertexAi.make({ ...base, apiBase: vertex.url, model: "gemini-2.0-flash", accessToken: null }),
        Transport.Transport,
        transport
      )
      const all = yield* Effect.forEach(
        Array.from({ length: 48 }),
        (_, index) =>
          Effect.suspend(() => {
            if (index === 10) revoked = 1
            return collect(provider.stream(plan))
          }),
        { concurrency: 16 }
      )
      const renewed = all.filter((asked) => find(asked, "CredentialRenewed") !== undefined)
      for (const asked of all) assert.isUndefined(asked.error)
      assert.isAtLeast(renewed.length, 1)
      assert.strictEqual(issued, 2)
      assert.strictEqual(vertex.received.length, 48 + renewed.length)
    })
  )

  it.live("takes them with GOOGLE_APPLICATION_CREDENTIALS", () =>
    Effect.gen(function* () {
      const sts = yield* raw((socket) =>
        socket.write(
          json({
            access_token: "exchanged",
            issued_token_type: "urn:ietf:params:oauth:token-type:access_token",
            token_type: "Bearer",
            expires_in: 3_600
          })
        )
      )
      const path = yield* folder
      writeFileSync(join(path, "subject"), "subject-token")
      writeFileSync(
        join(path, "credentials.json"),
        JSON.stringify({
          type: "external_account",
          audience: "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/provider",
          subject_token_type: "urn:ietf:params:oauth:token-type:jwt",
          token_url: `${sts.url}/v1/token`,
          credential_source: { file: join(path, "subject") },
          quota_project_id: "quota"
        })
      )
      yield* environment({
        GOOGLE_APPLICATION_CREDENTIALS: join(path, "credentials.json"),
        GOOGLE_CLOUD_PROJECT: "p"
      })
      const { ask, vertex } = yield* withDefaultCredentials
      yield* ask
      yield* ask
      assert.strictEqual(sts.received.length, 1)
      assert.include(sts.received[0]?.body, "subject-token")
      assert.deepStrictEqual(
        vertex.received.map((received) => headerOf(received, "authorization")),
        ["Bearer exchanged", "Bearer exchanged"]
      )
      assert.strictEqual(headerOf(vertex.received[0], "x-goog-user-project"), "quota")
    })
  )

  it.live("says that there are none", () =>
    Effect.gen(function* () {
      yield* environment({
        GOOGLE_APPLICATION_CREDENTIALS: join(yield* folder, "missing.json"),
        GOOGLE_CLOUD_PROJECT: "p"
      })
      const error = yield* Effect.flip(withDefaultCredentials)
      assert.deepInclude(error.reason, { _tag: "MissingCredential", variable: "GCLOUD_ACCESS_TOKEN" })
      assert.match(
        error.message,
        /^GCLOUD_ACCESS_TOKEN must be set: .*gcloud auth application-default login.*missing\.json/s
      )
    })
  )
})
