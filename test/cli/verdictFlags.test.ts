import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Command } from "effect/cli"
import * as VerdictFlags from "../../src/cli/internal/verdictFlags.ts"
import * as Verdict from "../../src/metrics/Verdict.ts"

const parse = Effect.fnUntraced(function* (args: ReadonlyArray<string>, env: { readonly [name: string]: string } = {}) {
  const seen: Array<Command.Command.Config.Infer<typeof VerdictFlags.verdict>> = []
  const command = Command.make("judge", VerdictFlags.verdict, (input) => Effect.sync(() => seen.push(input)))
  yield* Command.runWith(command, { version: "1.2.3", renderErrors: false })(args).pipe(
    Effect.provideService(Console.Console, { ...globalThis.console, log: () => {}, error: () => {} }),
    Effect.provide(Layer.merge(NodeServices.layer, ConfigProvider.layer(ConfigProvider.fromEnv({ env }))))
  )
  const [input] = seen
  if (input === undefined) return yield* Effect.die(new Error("the command did not run"))
  return { limits: VerdictFlags.limitsOf(input.verdictLimit), strict: input.strict }
})

const given = (...limits: ReadonlyArray<string>) => parse(limits.flatMap((limit) => ["--verdict-limit", limit]))

describe("--verdict-limit", () => {
  it.effect("leaves the usual limits when it is not given", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* parse([]), { limits: Verdict.defaultLimits, strict: false })
      assert.isTrue((yield* parse(["--strict"])).strict)
    })
  )

  it.effect("changes one limit or both, and no other", () =>
    Effect.gen(function* () {
      const { limits } = yield* given("late-requests=2%", "loop-delay=10ms:0.1", "loop-delay-of-gap=1:800%")
      assert.deepStrictEqual(limits, {
        ...Verdict.defaultLimits,
        late_requests: { degraded: 0.02, invalid: null },
        loop_delay: { degraded: 0.01, invalid: 0.1 },
        loop_delay_of_gap: { degraded: 1, invalid: 8 }
      })
      assert.deepStrictEqual((yield* given("own-errors=0.5")).limits.own_errors, { degraded: 0.5, invalid: 0.01 })
    })
  )

  it.effect("takes none, underscores, and the later of two", () =>
    Effect.gen(function* () {
      const { limits } = yield* given("machine_cpu=none", "steal=1%:2%", "steal=3%")
      assert.deepStrictEqual(limits.machine_cpu, { degraded: null, invalid: null })
      assert.deepStrictEqual(limits.steal, { degraded: 0.03, invalid: 0.02 })
      assert.deepStrictEqual((yield* given("lost-slot-time=none:none")).limits.lost_slot_time, {
        degraded: null,
        invalid: null
      })
    })
  )

  it.effect("is read from the environment, one a line", () =>
    Effect.gen(function* () {
      const { limits, strict } = yield* parse([], {
        LLMPERF_VERDICT_LIMIT: "steal=20%\ngc-pause=100ms",
        LLMPERF_STRICT: "true"
      })
      assert.strictEqual(limits.steal.degraded, 0.2)
      assert.strictEqual(limits.gc_pause.degraded, 0.1)
      assert.isTrue(strict)
    })
  )

  it.effect("names the limits that an unknown one may have been meant for", () =>
    Effect.gen(function* () {
      for (const [wrong, ends] of [
        ["token-mismatch=5%", "where NAME is token-mismatch-of-output or token-mismatch-of-input"],
        ["token_mismatch=5%", "where NAME is token-mismatch-of-output or token-mismatch-of-input"],
        ["machine-cpus=1%", "where NAME is machine-cpu"]
      ] as const) {
        const error = yield* Effect.flip(given(wrong))
        const text = error._tag === "ShowHelp" ? error.errors.map(({ message }) => message).join() : error.message
        assert.isTrue(text.trim().endsWith(ends), text)
      }
    })
  )

  it.effect("refuses what it does not know, and says what it knows", () =>
    Effect.gen(function* () {
      for (const wrong of [
        "lateness=2%",
        "late-requests",
        "late-requests=",
        "late-requests=ten",
        "late-requests=-1%",
        "late-requests=20ms",
        "loop-delay=5%",
        "loop-delay=5ms:",
        "loop-delay=5ms:6ms:7ms",
        "toString=1"
      ]) {
        const error = yield* Effect.flip(given(wrong))
        const text = error._tag === "ShowHelp" ? error.errors.map(({ message }) => message).join() : error.message
        assert.include(text, "late-requests", wrong)
        assert.include(text, "NAME=DEGRADED", wrong)
      }
    })
  )
})
