import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Command } from "effect/cli"
import * as ErrorFlags from "../../src/cli/internal/errorFlags.ts"
import * as AbortOnErrors from "../../src/engine/AbortOnErrors.ts"

const parse = Effect.fnUntraced(function* (...args: ReadonlyArray<string>) {
  const seen: Array<AbortOnErrors.Policy> = []
  const command = Command.make("test", ErrorFlags.errors, (input) => Effect.sync(() => seen.push(input.abortOnErrors)))
  yield* Command.runWith(command, { version: "1.2.3", renderErrors: false })(args).pipe(
    Effect.provideService(Console.Console, { ...globalThis.console, log: () => {}, error: () => {} }),
    Effect.provide(Layer.merge(NodeServices.layer, ConfigProvider.layer(ConfigProvider.fromEnv({ env: {} }))))
  )
  return seen[0]
})

describe("--abort-on-errors", () => {
  it.effect("is a number in a row, a share, or off", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* parse(), AbortOnErrors.defaultPolicy)
      const given = (text: string) => parse("--abort-on-errors", text)
      assert.deepStrictEqual(yield* given("off"), { _tag: "Never" })
      assert.deepStrictEqual(yield* given("1"), { _tag: "InARow", count: 1 })
      assert.deepStrictEqual(yield* given("20"), { _tag: "InARow", count: 20 })
      for (const share of ["5%", "0.05"]) {
        assert.deepStrictEqual(yield* given(share), { _tag: "Share", share: 0.05, least: 50 })
      }
    })
  )

  it.effect("is refused otherwise", () =>
    Effect.forEach(["-1", "1.5", "120%", "never", ""], (text) => Effect.flip(parse(`--abort-on-errors=${text}`)), {
      discard: true
    })
  )
})
