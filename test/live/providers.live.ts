import { assert, describe, it } from "@effect/vitest"
import { NodeServices } from "@effect/platform-node"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { llmApis } from "../../src/cli/flags.ts"
import * as Providers from "../../src/cli/internal/providers.ts"
import { type RequestPlan } from "../../src/domain/RequestPlan.ts"
import { Provider } from "../../src/provider/Provider.ts"
import * as Transport from "../../src/provider/Transport.ts"
import { parse } from "../cli/invocation.ts"
import { type Asked, collect, find, plan, textOf } from "../provider/asking.ts"

/**
 * The same tests for every API, against the real server that the variables of its vendor name. Besides, for each API:
 *
 * - `LLMPERF_LIVE_MODEL_<API>`: the model to ask; an API without is skipped
 * - `LLMPERF_LIVE_FLAGS_<API>`: flags of load-test, such as `--endpoint=responses`, separated by blanks
 * - `LLMPERF_LIVE_WRONG_KEY`: a key that must be refused, for servers that take most
 */
type Api = Exclude<(typeof llmApis)[number], "simulated">

/** What is replaced to be refused. */
const keys: { readonly [Name in Api]: string } = {
  openai: "OPENAI_API_KEY",
  azure: "AZURE_API_KEY",
  anthropic: "ANTHROPIC_API_KEY",
  litellm: "LITELLM_API_KEY",
  together: "TOGETHERAI_API_KEY",
  huggingface: "HUGGINGFACE_API_KEY",
  vertexai: "GCLOUD_ACCESS_TOKEN",
  gemini: "GEMINI_API_KEY",
  sagemaker: "AWS_SECRET_ACCESS_KEY",
  bedrock: "AWS_SECRET_ACCESS_KEY",
  ollama: "OLLAMA_API_KEY"
}

const wrongKey = process.env["LLMPERF_LIVE_WRONG_KEY"] ?? "sk-wrong-0123456789abcdef0123456789abcdef"

const environment = (): { readonly [name: string]: string } =>
  Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]))
  )

const story: RequestPlan = { ...plan, prompt: "Tell a very long story about a lighthouse.", outputTokens: 200 }

const isApi = (name: string): name is Api => name in keys

/** Runs something with the provider of an API. */
const using = <A>(
  api: Api,
  use: (provider: Provider["Service"]) => Effect.Effect<A>,
  env = environment()
): Promise<A> => {
  const suffix = api.toUpperCase()
  const flags = (env[`LLMPERF_LIVE_FLAGS_${suffix}`] ?? "").split(" ").filter((flag) => flag !== "")
  const program = Effect.gen(function* () {
    const input = yield* parse([`--llm-api=${api}`, `--model=${env[`LLMPERF_LIVE_MODEL_${suffix}`] ?? ""}`, ...flags])
    const layer = Providers.layer(input, { ...input, runId: "live", seed: 1 }).pipe(
      Layer.provide(Transport.layer({ flushMs: 20, idleSeconds: 60 }))
    )
    return yield* Effect.provide(
      Effect.flatMap(Provider, (provider) => use(provider)),
      layer
    )
  })
  return Effect.runPromise(
    Effect.provide(
      program,
      Layer.merge(NodeServices.layer, ConfigProvider.layer(ConfigProvider.fromEnv({ env: { ...env } })))
    )
  )
}

const asking = (api: Api, what: RequestPlan, env?: { readonly [name: string]: string }): Promise<Asked> =>
  using(api, ({ stream }) => collect(stream(what)), env)

const answerOf = (asked: Asked): string => textOf(asked) + (find(asked, "Whole")?.text ?? "")

const chunksOf = ({ events }: Asked): ReadonlyArray<number> =>
  events.flatMap((event) => (event._tag === "Content" ? event.at : []))

/** The server's own counts: where it tells some at the start and some at the end, the last of each. */
const countOf = ({ events }: Asked, what: "inputTokens" | "outputTokens"): number | null =>
  events.reduce<number | null>((count, event) => (event._tag === "Usage" ? (event[what] ?? count) : count), null)

for (const api of llmApis.filter(isApi)) {
  const variable = `LLMPERF_LIVE_MODEL_${api.toUpperCase()}`
  const configured = (process.env[variable] ?? "") !== ""

  describe(api, () => {
    if (!configured) {
      it.skip(`is not tested: ${variable} is not set`, () => {})
      return
    }

    it("streams an answer", async (context) => {
      const asked = await asking(api, { ...plan, prompt: "Count from one to five, in words.", outputTokens: 100 })
      assert.isUndefined(asked.error, asked.error?.message)
      assert.notStrictEqual(answerOf(asked), "")
      assert.strictEqual(asked.events.at(0)?._tag, "Sent")
      assert.strictEqual(asked.events.at(-1)?._tag, "Ended")
      const times = asked.events.flatMap(({ at }) => at)
      assert.deepStrictEqual(
        times,
        times.toSorted((a, b) => a - b)
      )
      if (find(asked, "Whole") !== undefined) context.skip("this API does not stream: the answer came in one piece")
      assert.isAbove(chunksOf(asked).length, 1, "it came in pieces")
    })

    it("tells why it stopped", async (context) => {
      const asked = await asking(api, { ...story, outputTokens: 16 })
      assert.isUndefined(asked.error, asked.error?.message)
      if (find(asked, "Finished") === undefined) context.skip("it gives no reason")
      assert.notStrictEqual(find(asked, "Finished")?.reason, "")
    })

    it("counts its tokens", async (context) => {
      const asked = await asking(api, { ...story, outputTokens: 50 })
      assert.isUndefined(asked.error, asked.error?.message)
      if (find(asked, "Usage") === undefined) return context.skip("it sends no usage")
      const input = countOf(asked, "inputTokens") ?? 10
      assert.isTrue(input >= 5 && input <= 500, `${input} input tokens`)
      assert.isAbove(countOf(asked, "outputTokens") ?? 1, 0)
    })

    it("keeps to the number of tokens that was asked for", async (context) => {
      const asked = await asking(api, { ...story, outputTokens: 16 })
      assert.isUndefined(asked.error, asked.error?.message)
      const tokens = countOf(asked, "outputTokens")
      if (tokens === null) {
        assert.isBelow(answerOf(asked).length, 16 * 12)
        return context.skip("it does not count; the answer is no longer than 16 tokens may be")
      }
      assert.isAtMost(tokens, 16)
    })

    it("refuses a wrong key, and the failure does not show it", async (context) => {
      const asked = await asking(api, plan, { ...environment(), [keys[api]]: wrongKey })
      if (asked.error === undefined) return context.skip("it takes any key")
      assert.oneOf(asked.error.errorCode, [400, 401, 403], asked.error.message)
      assert.notInclude(JSON.stringify(asked.error), wrongKey)
    })

    it("goes on after a request that was cancelled", async () => {
      const again = await using(api, ({ stream }) =>
        Effect.gen(function* () {
          const begun = yield* Latch.make()
          const fiber = yield* Effect.forkChild(
            Stream.runForEach(stream(story), ({ _tag }) =>
              _tag === "Content" || _tag === "Whole" ? begun.open : Effect.void
            ).pipe(Effect.ensuring(begun.open))
          )
          yield* begun.await
          yield* Fiber.interrupt(fiber)
          return yield* collect(stream({ ...plan, outputTokens: 16 }))
        })
      )
      assert.isUndefined(again.error, again.error?.message)
    })
  })
}
