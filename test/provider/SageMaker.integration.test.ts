import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as AwsCredentials from "../../src/provider/AwsCredentials.ts"
import * as SageMaker from "../../src/provider/SageMaker.ts"
import { find, tagsOf, textOf } from "./asking.ts"
import * as aws from "./awsServer.ts"
import { askSimulator, checkFaults, chunksOf, contentsOf, type Make, simulator, tokens } from "./simulated.ts"

const faults = aws.faults({
  unauthorized: "AccessDeniedException",
  notFound: "ValidationError",
  internal: "InternalFailure",
  overloaded: "ServiceUnavailable"
})

const make =
  (options: Partial<SageMaker.Options> = {}): Make =>
  (apiBase, model) =>
    SageMaker.make({
      model,
      region: "us-east-1",
      credentials: AwsCredentials.fixed(aws.credentials()),
      apiBase,
      ...options
    })

const broken = { reason: "InStream", code: "StreamBroken", message: /^The model is overloaded$/, chunks: 3 }

layer(simulator, { excludeTestServices: true })("SageMaker and the simulated server", (it) => {
  it.effect("a good answer of each container that streams", () =>
    Effect.gen(function* () {
      for (const payload of ["messages", "tgi"] as const) {
        for (const credentials of [aws.credentials(), aws.credentials({ token: "session/+==" })]) {
          const asked = yield* askSimulator(make({ payload, credentials: AwsCredentials.fixed(credentials) }))
          assert.isUndefined(asked.error)
          assert.deepStrictEqual(tagsOf(asked), ["Sent", "ResponseStarted", "Content", "Finished", "Usage", "Ended"])
          assert.strictEqual(chunksOf(asked), tokens)
          assert.deepInclude(find(asked, "Usage"), { outputTokens: tokens })
        }
      }
    })
  )

  it.effect("JumpStart's document: all of the text at once, and no first token", () =>
    Effect.gen(function* () {
      const asked = yield* askSimulator(make({ payload: "jumpstart" }), ["utf8"])
      assert.isUndefined(asked.error)
      assert.deepStrictEqual(tagsOf(asked), ["Sent", "ResponseStarted", "Whole", "Ended"])
      assert.strictEqual(find(asked, "Whole")?.text, Array.from({ length: tokens }, () => "né漢😀").join(" "))
      for (const fault of ["cut:3", "reset:3", "close:3"]) {
        const asked = yield* askSimulator(make({ payload: "jumpstart" }), [`fault=${fault}`])
        assert.strictEqual(asked.error?.reason._tag, "Truncated", fault)
        assert.isUndefined(find(asked, "Whole"))
      }
    })
  )

  it.effect("reasoning and a tool", () =>
    Effect.gen(function* () {
      const reasoning = yield* askSimulator(make(), ["reason=3"])
      assert.deepStrictEqual(contentsOf(reasoning), [
        ["reasoning", 3],
        ["text", tokens - 3]
      ])
      assert.deepInclude(find(reasoning, "Usage"), { reasoningTokens: 3 })
      const tool = yield* askSimulator(make(), ["tool"])
      assert.match(textOf(tool), /^write/)
      assert.strictEqual(find(tool, "Finished")?.reason, "tool_calls")
    })
  )

  it.effect(
    "every fault, with OpenAI's chunks",
    () =>
      checkFaults(make({ payload: "messages" }), {
        ...faults,
        "cut:3": { ...faults["cut:3"], message: /without a finish reason/ },
        "error:3": broken,
        tool: { chunks: tokens + 1 }
      }),
    { concurrent: true }
  )

  it.effect(
    "every fault, with TGI's lines",
    () =>
      checkFaults(make({ payload: "tgi" }), {
        ...faults,
        "cut:3": { ...faults["cut:3"], message: /without a finish reason/ },
        "error:3": broken,
        tool: { chunks: tokens }
      }),
    { concurrent: true }
  )

  it.effect("wrong credentials, and expired ones", () =>
    Effect.gen(function* () {
      for (const [credentials, message] of aws.refusals) {
        const { error } = yield* askSimulator(make({ credentials: AwsCredentials.fixed(credentials) }))
        assert.strictEqual(error?.errorCode, 403)
        assert.match(error?.message ?? "", message)
      }
    })
  )

  it.effect("a request that the container refuses", () =>
    Effect.gen(function* () {
      const { error } = yield* askSimulator(make({ samplingParams: { messages: [] } }))
      assert.strictEqual(error?.errorCode, 424)
      assert.match(error?.message ?? "", /^HTTP 424: ModelError: Received client error \(422\) from primary/)
    })
  )
})
