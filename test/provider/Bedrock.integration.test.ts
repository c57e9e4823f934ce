import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as AwsCredentials from "../../src/provider/AwsCredentials.ts"
import * as Bedrock from "../../src/provider/Bedrock.ts"
import { find, tagsOf, textOf } from "./asking.ts"
import * as aws from "./awsServer.ts"
import { askSimulator, checkFaults, chunksOf, contentsOf, type Make, simulator, tokens } from "./simulated.ts"

const make =
  (options: Partial<Bedrock.Options> = {}): Make =>
  (apiBase, model) =>
    Bedrock.make({
      model,
      region: "us-east-1",
      credentials: AwsCredentials.fixed(aws.credentials()),
      apiBase,
      ...options
    })

layer(simulator, { excludeTestServices: true })("Bedrock and the simulated server", (it) => {
  it.effect("a good answer, signed with a lasting key, with a temporary one, and with an API key", () =>
    Effect.gen(function* () {
      for (const options of [
        {},
        { credentials: AwsCredentials.fixed(aws.credentials({ token: "session/+==" })) },
        { credentials: Redacted.make("key") },
        { samplingParams: { temperature: 0.5, top_k: 5 }, headers: { "X-Team": "a  b" } }
      ]) {
        const asked = yield* askSimulator(make(options))
        assert.isUndefined(asked.error)
        assert.deepStrictEqual(tagsOf(asked), ["Sent", "ResponseStarted", "Content", "Finished", "Usage", "Ended"])
        assert.strictEqual(chunksOf(asked), tokens)
        assert.strictEqual(find(asked, "Finished")?.reason, "end_turn")
        assert.deepInclude(find(asked, "Usage"), { outputTokens: tokens, cachedInputTokens: 0 })
      }
    })
  )

  it.effect("a request whose credentials have expired is sent once more with others", () =>
    Effect.gen(function* () {
      const expired = aws.credentials({ token: "expired" })
      const asked: Array<AwsCredentials.AwsCredentials> = []
      const source = (other: AwsCredentials.AwsCredentials, current = expired): AwsCredentials.Source => ({
        current: Effect.succeed(current),
        renew: (rejected) => Effect.sync(() => (asked.push(rejected), other))
      })
      const renewed = yield* askSimulator(make({ credentials: source(aws.credentials({ token: "good" })) }))
      assert.isUndefined(renewed.error)
      assert.deepStrictEqual(tagsOf(renewed).slice(0, 5), [
        "Sent",
        "ResponseStarted",
        "CredentialRenewed",
        "Sent",
        "ResponseStarted"
      ])
      assert.strictEqual(chunksOf(renewed), tokens)
      assert.deepStrictEqual(asked, [expired])
      const refused = yield* askSimulator(make({ credentials: source(expired) }))
      assert.strictEqual(refused.error?.errorCode, 403)
      assert.deepStrictEqual(tagsOf(refused), ["Sent", "ResponseStarted"])
      // What is wrong with the request is not mended by other credentials.
      const missing = yield* askSimulator(make({ credentials: source(expired, aws.credentials()) }), ["fault=404"])
      assert.strictEqual(missing.error?.errorCode, 404)
      assert.strictEqual(asked.length, 2)
    })
  )

  it.effect("reasoning and a tool", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(contentsOf(yield* askSimulator(make(), ["reason=3"])), [
        ["reasoning", 3],
        ["text", tokens - 3]
      ])
      const tool = yield* askSimulator(make(), ["tool"])
      assert.match(textOf(tool), /^write/)
      assert.deepStrictEqual(contentsOf(tool), [["tool", tokens + 1]])
      assert.strictEqual(find(tool, "Finished")?.reason, "tool_use")
    })
  )

  it.effect("every fault", () =>
    checkFaults(make(), {
      ...aws.faults({
        unauthorized: "AccessDeniedException",
        notFound: "ResourceNotFoundException",
        internal: "InternalServerException",
        overloaded: "ServiceUnavailableException"
      }),
      "error:3": {
        reason: "InStream",
        code: "serviceUnavailableException",
        message: /^The model is overloaded$/,
        chunks: 3
      },
      tool: { chunks: tokens + 1 }
    })
  )

  it.effect("wrong credentials, and expired ones", () =>
    Effect.gen(function* () {
      for (const [credentials, message] of aws.refusals) {
        const { error } = yield* askSimulator(make({ credentials: AwsCredentials.fixed(credentials) }))
        assert.strictEqual(error?.errorCode, 403)
        assert.match(error?.message ?? "", message)
      }
      const wrongKey = yield* askSimulator(make({ credentials: Redacted.make("wrong") }))
      assert.strictEqual(wrongKey.error?.errorCode, 401)
      const expiredKey = yield* askSimulator(make({ credentials: Redacted.make("expired") }))
      assert.match(expiredKey.error?.message ?? "", /^HTTP 403: The AWS credentials have \*\*\* and must be renewed/)
    })
  )

  it.effect("a request that Bedrock would refuse", () =>
    Effect.gen(function* () {
      const { error } = yield* askSimulator(make({ samplingParams: { messages: [] } }))
      assert.strictEqual(error?.errorCode, 400)
      assert.match(error?.message ?? "", /messages/)
    })
  )
})
