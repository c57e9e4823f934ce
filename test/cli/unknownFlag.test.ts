import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { llmperf } from "./invocation.ts"

/** What is said of a flag that the command does not have, with the line that tells where help is. */
const told = Effect.fnUntraced(function* (...args: ReadonlyArray<string>) {
  const { exitCode, stderr, stdout, unreported } = yield* llmperf(args)
  assert.deepStrictEqual([exitCode, stdout, unreported], [2, "", ""], args.join(" "))
  return stderr
})

describe("unknownFlag", () => {
  it.effect("names the flag that does what the flag of another tool does", () =>
    Effect.gen(function* () {
      for (const [given, flag] of [
        // vllm bench serve
        ["--max-concurrency", "--num-concurrent-requests"],
        ["--num-prompts", "--max-num-completed-requests"],
        ["--base-url", "--api-base"],
        ["--backend", "--llm-api"],
        ["--random-input-len", "--mean-input-tokens"],
        ["--random-output-len", "--mean-output-tokens"],
        ["--num-warmups", "--warmup-requests"],
        ["--extra-body", "--additional-sampling-params"],
        ["--result-dir", "--results-dir"],
        ["--goodput", "--threshold"],
        ["--disable-tqdm", "--quiet"],
        // aiperf and genai-perf
        ["--concurrency", "--num-concurrent-requests"],
        ["--request-count", "--max-num-completed-requests"],
        ["--url", "--api-base"],
        ["--endpoint-type", "--llm-api or --endpoint"],
        ["--isl", "--mean-input-tokens"],
        ["--osl-stddev", "--stddev-output-tokens"],
        ["--synthetic-input-tokens-mean", "--mean-input-tokens"],
        ["--arrival-pattern", "--arrival"],
        ["--random-seed", "--seed"],
        ["--benchmark-grace-period", "--grace"],
        // guidellm
        ["--target", "--api-base"],
        ["--rate", "--request-rate"],
        ["--max-requests", "--max-num-completed-requests"],
        ["--processor", "--tokenizer"],
        // k6, hey, oha
        ["--vus", "--num-concurrent-requests"],
        ["--iterations", "--max-num-completed-requests"],
        ["--rps", "--request-rate"],
        ["--insecure-skip-tls-verify", "--insecure"],
        ["-c", "--num-concurrent-requests"],
        ["-n", "--max-num-completed-requests"],
        ["-q", "--request-rate"],
        ["--no-tui", "--quiet"],
        // Misspelled, and as Python writes names
        ["--concurency", "--num-concurrent-requests"],
        ["--base_url", "--api-base"]
      ] as const) {
        assert.strictEqual(
          yield* told("load-test", "--model", "m", given, "5"),
          `Unrecognized flag: ${given} in command llmperf load-test. Here it is ${flag}.\nTry: llmperf load-test --help\n`
        )
      }
    })
  )

  it.effect("says how what no flag does is done", () =>
    Effect.gen(function* () {
      const ofLoad = (...args: ReadonlyArray<string>) => told("load-test", "--model", "m", ...args)
      const key = yield* ofLoad("--api-key", "sk-secret")
      assert.match(key, /--api-key in command llmperf load-test\. A key is taken from the environment.*OPENAI_API_KEY/)
      assert.notInclude(key + (yield* ofLoad("--api-key=sk-secret")), "sk-secret")
      assert.match(yield* ofLoad("--max-seconds", "5"), /With a rate it is --duration; without one --timeout/)
      assert.match(yield* ofLoad("--top_p", "1"), /--additional-sampling-params '\{"top_p": …\}'\.\n/)
      assert.match(yield* ofLoad("--endpoint", "/v1/chat/completions"), /a path .* belongs to --api-base/)
    })
  )

  it.effect("names a flag only where the command has it", () =>
    Effect.gen(function* () {
      assert.match(yield* told("export", "run", "--output", "x"), /Here it is --out\.\n/)
      assert.match(yield* told("load-test", "--model", "m", "--output", "x"), /Here it is --results-dir\.\n/)
      assert.match(yield* told("compare", "a", "b", "--threshold", "x"), /Here it is --fail-if\.\n/)
      assert.match(yield* told("probe", "--model", "m", "--max-new-tokens", "5"), /Here it is --max-tokens\.\n/)
      assert.match(yield* told("compare", "a", "b", "--concurrency", "5"), /in command llmperf compare\nTry: /)
    })
  )

  it.effect("names the flag that is spelled most alike, and none that is not", () =>
    Effect.gen(function* () {
      const mean = yield* told("load-test", "--model", "m", "--mean-input-length", "5")
      assert.match(mean, /\n {2}Did you mean this\?\n {4}--mean-input-tokens\nTry: /)
      assert.match(
        yield* told("load-test", "--model", "m", "--num-concurent-requests", "5"),
        /--num-concurrent-requests\n/
      )
      for (const flag of ["--xyzzy", "-x"]) {
        assert.strictEqual(
          yield* told("load-test", "--model", "m", flag),
          `Unrecognized flag: ${flag} in command llmperf load-test\nTry: llmperf load-test --help\n`
        )
      }
    })
  )
})
