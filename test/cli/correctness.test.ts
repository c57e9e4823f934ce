import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { Command } from "effect/cli"
import { correctnessFlags } from "../../src/cli/internal/correctnessFlags.ts"
import * as ConfigFile from "../../src/cli/internal/configFile.ts"
import { file, llmperf } from "./invocation.ts"

/** What `correctness` is given to do for those arguments, without doing it. */
const parse = Effect.fnUntraced(function* (
  given: ReadonlyArray<string>,
  env: { readonly [name: string]: string } = {}
) {
  const seen: Array<Command.Command.Config.Infer<typeof correctnessFlags>> = []
  const command = Command.make("correctness", correctnessFlags, (input) => Effect.sync(() => seen.push(input)))
  const root = Command.make("llmperf").pipe(Command.withSubcommands([command]))
  yield* Effect.flatMap(ConfigFile.expand(["correctness", ...given]), ({ args }) =>
    Command.runWith(root, { version: "1.2.3", renderErrors: false })(args)
  ).pipe(
    Effect.provideService(Console.Console, { ...globalThis.console, log: () => {}, error: () => {} }),
    Effect.provide(Layer.mergeAll(NodeServices.layer, ConfigProvider.layer(ConfigProvider.fromEnv({ env }))))
  )
  const [input] = seen
  if (input === undefined) return yield* Effect.die(new Error("the command did not run"))
  return input
})

const flagsIn = (help: string): ReadonlyArray<string> =>
  [...help.matchAll(/^ {2}--([a-z-]+)/gm)].map(([, flag = ""]) => flag)

describe("the flags of llmperf correctness", () => {
  it.effect("have LLMPerf's defaults", () =>
    Effect.gen(function* () {
      assert.deepInclude(yield* parse(["--model=m"]), {
        model: "m",
        numConcurrentRequests: 10,
        timeout: 90,
        maxNumCompletedRequests: 50,
        additionalSamplingParams: {},
        resultsDir: Option.none(),
        llmApi: { value: "openai", given: false },
        metadata: [],
        seed: Option.none(),
        grace: 30,
        maxMismatchRate: Option.none(),
        json: false,
        quiet: false
      })
    })
  )

  it.effect("take the flags of LLMPerf's own example", () =>
    Effect.gen(function* () {
      const input = yield* parse(
        "--model meta-llama/Llama-2-7b-chat-hf --max-num-completed-requests 150 --timeout 600 --num-concurrent-requests 10 --results-dir result_outputs".split(
          " "
        )
      )
      assert.strictEqual(input.timeout, 600)
      assert.strictEqual(input.maxNumCompletedRequests, 150)
      assert.deepStrictEqual(input.resultsDir, Option.some("result_outputs"))
    })
  )

  it.effect("read shares as numbers and in percent, from files and variables too", () =>
    Effect.gen(function* () {
      const shares = yield* Effect.forEach(["5%", "0.05", "0", "100%", "1", " 2.5 % "], (text) =>
        Effect.map(parse(["--model=m", `--max-mismatch-rate=${text}`]), (input) =>
          Option.getOrNull(input.maxMismatchRate)
        )
      )
      assert.deepStrictEqual(shares, [0.05, 0.05, 0, 1, 1, 0.025])
      const path = yield* file("run.yaml", "model: m\nmax_mismatch_rate: 3%\nseed: 4\n")
      const input = yield* parse([`--config=${path}`], { LLMPERF_SIM_WRONG_RATE: "7%" })
      assert.deepStrictEqual(input.maxMismatchRate, Option.some(0.03))
      assert.deepStrictEqual(input.seed, Option.some(4))
      assert.strictEqual(input.sim.wrongRate, 0.07)
    })
  )

  it.effect("are explained, and none is there that means nothing", () =>
    Effect.gen(function* () {
      const { exitCode, stdout } = yield* llmperf(["correctness", "--help"])
      assert.strictEqual(exitCode, 0)
      const flags = flagsIn(stdout)
      for (const flag of [
        "model",
        "max-mismatch-rate",
        "threshold",
        "report",
        "sim-wrong-rate",
        "sim-silent-rate",
        "header",
        "request-timeout"
      ]) {
        assert.include(flags, flag)
      }
      assert.strictEqual(new Set(flags).size, flags.length)
      const meaningless =
        /^(mean-|stddev-|schedule-|scale-|max-in-|max-rate|max-sampled|request-rate|ramp|stages|arrival|burst|prompt-mode|ignore-eos|when-full|duration|speed|loop|limit|(from|to|map)$)/
      for (const flag of flags) assert.notMatch(flag, meaningless)
      for (const line of (stdout.split("\nEXAMPLES\n")[0] ?? "").split("\n")) assert.isAtMost(line.length, 100, line)
      const examples = [...stdout.matchAll(/^ {2}llmperf correctness (-.*)$/gm)].map(([, args = ""]) => args)
      assert.lengthOf(examples, 3)
      for (const example of examples.filter((each) => !each.includes("--config"))) yield* parse(example.split(" "))
      assert.include((yield* llmperf(["--help"])).stdout, "correctness  Check the answers")
    })
  )
})
