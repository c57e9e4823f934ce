import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { llmperf, parse } from "./invocation.ts"

type Facts = readonly [flag: string, value: string, fact: string]

const shared = (prefix: string): ReadonlyArray<Facts> => [
  [`${prefix}ttft`, "<latency>", ""],
  [`${prefix}itl`, "<latency>", ""],
  [`${prefix}prefill-rate`, "<tokens/s>", "default: 10000"],
  [`${prefix}decode-step`, "<duration>", "default: 12ms"],
  [`${prefix}decode-step-per-sequence`, "<duration>", "default: 0.1ms"],
  [`${prefix}max-batch`, "<requests>", "default: 256"],
  [`${prefix}kv-tokens`, "<tokens>", "default: 500000"],
  [`${prefix}tokens-per-chunk`, "<tokens>", "default: 1"],
  [`${prefix}fault`, "<fault>", "may be repeated"],
  [`${prefix}wrong-rate`, "<share>", "default: 0"],
  [`${prefix}silent-rate`, "<share>", "default: 0"]
]

const ofWorkload: ReadonlyArray<Facts> = [
  ["mean-input-tokens", "<tokens>", "default: 550"],
  ["stddev-input-tokens", "<tokens>", "default: 150"],
  ["mean-output-tokens", "<tokens>", "default: 150"],
  ["stddev-output-tokens", "<tokens>", "default: 80"],
  ["num-concurrent-requests", "<requests>", "default: 10"],
  ["max-num-completed-requests", "<requests>", "default: 10"],
  ["timeout", "<duration>", "default: 90s"],
  ["grace", "<duration>", "default: 30s"],
  ["request-rate", "<requests/s>", ""],
  ["ramp", "<from:to:duration>", ""],
  ["stages", "<rate@duration,…>", ""],
  ["arrival", "<constant|poisson|gamma|burst>", "default: poisson"],
  ["burstiness", "<factor>", ""],
  ["burst-size", "<requests>", ""],
  ["duration", "<duration>", ""],
  ["schedule-file", "<file>", ""],
  ["schedule-file-subdir", "", "default: on"],
  ["schedule-timeout", "<duration>", ""],
  ["map", "<mapping>", ""],
  ["from", "<duration>", ""],
  ["to", "<duration>", ""],
  ["speed", "<factor>", ""],
  ["loop", "<times|duration>", ""],
  ["max-rate", "<requests/s>", ""],
  ["limit", "<requests>", ""],
  ["scale-input", "<factor>", ""],
  ["scale-output", "<factor>", ""],
  ["max-sampled-requests-per-second", "<requests/s>", ""],
  ["max-in-flight", "<requests>", ""],
  ["when-full", "<queue|drop|abort>", "default: queue"],
  ["request-timeout", "<duration>", "default: none"],
  ["idle-timeout", "<duration>", "default: 180s"],
  ["run-id", "<id>", ""],
  ["tokenizer", "<name>", "default: llama"],
  ["count-tokens", "<auto|server|tokenizer>", "default: auto"],
  ["prompt-mode", "<exact|llmperf>", "default: exact"],
  ["same-prompts", "", "default: off"],
  ["results-dir", "<folder>", ""],
  ["metadata", "<key=value,…>", "may be repeated"],
  ["json", "", "default: off"],
  ["quiet", "", "default: off"],
  ["config", "<file>", "YAML"]
]

const ofApi: ReadonlyArray<Facts> = [
  ["llm-api", "<api>", "default: openai"],
  ["provider", "<file>", "in the place of --llm-api"],
  ["api-base", "<url>", "OPENAI_API_BASE"],
  ["endpoint", "<chat|completions|responses>", "default: chat"],
  ["payload-style", "<jumpstart|tgi|messages>", "sagemaker"],
  ["vertex-route", "<predict|raw|publisher>", "vertexai"]
]

const ofNetwork: ReadonlyArray<Facts> = [
  ["connect-timeout", "<duration>", "default: 10s"],
  ["ca", "<file>", "PEM"],
  ["insecure", "", "default: off"],
  ["client-cert", "<file>", "PEM"],
  ["client-key", "<file>", "PEM"],
  ["http2", "", "default: off"],
  ["connections", "<reuse|fresh>", "default: reuse"],
  ["proxy", "<url|none>", "HTTPS_PROXY"]
]

const ofLoadTest: ReadonlyArray<Facts> = [
  ["model", "<name>", "required"],
  ...ofWorkload,
  ["seed", "<integer>", "default: another in every run; 11111 with --same-prompts or --prompt-mode llmperf"],
  ...ofApi,
  ...ofNetwork,
  ["additional-sampling-params", "<json>", "default: {}"],
  ["ignore-eos", "", "default: off"],
  ["usage-per-chunk", "", "default: off"],
  ["header", "<name: value>", "may be repeated"],
  ["request-id-header", "<name>", "default: x-request-id"],
  ["abort-on-errors", "<number|share|off>", "default: 50 in a row"],
  ["verdict-limit", "<name=value>", "may be repeated"],
  ["strict", "", "default: off"],
  ["threshold", "<condition>", "may be repeated"],
  ["allow-unknown", "", "default: off"],
  ["prometheus-port", "<port>", "/metrics"],
  ["prometheus-host", "<host>", "127.0.0.1"],
  ["otlp", "<url>", "OTEL_EXPORTER_OTLP_HEADERS"],
  ["report", "", "default: off"],
  ["chunk-times", "", "default: off"],
  ["calibrate", "", "default: off"],
  ["warmup", "", "default: on"],
  ["warmup-requests", "<requests>", "default: 0"],
  ["workers", "<number|auto>", "default: 1"],
  ["agents", "<host:port,…>", "llmperf agent"],
  ["cluster", "<url>", "postgres://"],
  ["expect-agents", "<agents>", "--cluster"],
  ["token-file", "<file>", "token"],
  ["tls-cert", "<file>", "PEM"],
  ["tls-key", "<file>", "PEM"],
  ["tls-ca", "<file>", "PEM"],
  ...shared("sim-")
]

const ofSimulate: ReadonlyArray<Facts> = [
  ["model", "<name>", "default: simulated"],
  ...ofWorkload,
  ["seed", "<integer>", "default: 11111"],
  ...shared("")
]

const ofProbe: ReadonlyArray<Facts> = [
  ["model", "<name>", "required"],
  ["idle-timeout", "<duration>", "default: 180s"],
  ["tokenizer", "<name>", "default: llama"],
  ["config", "<file>", "YAML"],
  ["additional-sampling-params", "<json>", "default: {}"],
  ["ignore-eos", "", "default: off"],
  ["usage-per-chunk", "", "default: off"],
  ["header", "<name: value>", "may be repeated"],
  ["request-id-header", "<name>", "default: x-request-id"],
  ...shared("sim-"),
  ...ofApi,
  ["prompt", "<text>", "What to ask"],
  ["max-tokens", "<tokens>", "default: 64"],
  ["request-timeout", "<duration>", "default: 120s"],
  ...ofNetwork,
  ["json", "", "default: off"]
]

const ofServe: ReadonlyArray<Facts> = [
  ["host", "<address>", "default: 127.0.0.1"],
  ["port", "<port>", "default: 8089"],
  ["insecure-listen", "", "default: off"],
  ...shared(""),
  ["seed", "<integer>", "default: 11111"],
  ["tokenizer", "<name>", "default: llama"],
  ["truth", "", "default: off"]
]

/** The flags of a help text: what stands between a flag and the next, on one line. */
const flagsIn = (help: string): ReadonlyMap<string, string> => {
  const section = /\nFLAGS\n([\s\S]*?)\n\n[A-Z]/.exec(help)?.[1] ?? ""
  const found = section.split(/^ {2}--/m).slice(1)
  return new Map(
    found.map((text) => {
      const line = text.replaceAll(/\s+/g, " ").trim()
      return [/^[a-z][a-z0-9-]*/.exec(line)?.[0] ?? "", line]
    })
  )
}

const clean = (outcome: { readonly exitCode: number; readonly stderr: string; readonly unreported: string }) => {
  assert.strictEqual(outcome.stderr, "")
  assert.strictEqual(outcome.unreported, "")
  assert.strictEqual(outcome.exitCode, 0)
}

describe("help", () => {
  it.effect("names the commands", () =>
    Effect.gen(function* () {
      const asked = yield* llmperf(["--help"])
      clean(asked)
      for (const part of [/USAGE\s+llmperf/, /load-test\s+Measure/, /serve\s+Run a simulated/, /--version/]) {
        assert.match(asked.stdout, part)
      }
      // Without a command there is nothing else to say.
      assert.deepStrictEqual(yield* llmperf([]), asked)
      assert.deepStrictEqual(yield* llmperf(["-h"]), asked)
    })
  )

  for (const [command, facts] of [
    ["load-test", ofLoadTest],
    ["simulate", ofSimulate],
    ["probe", ofProbe],
    ["serve", ofServe]
  ] as const) {
    it.effect(`of ${command} has every flag with its unit, its default and its variable`, () =>
      Effect.gen(function* () {
        const outcome = yield* llmperf([command, "--help"])
        clean(outcome)
        const described = flagsIn(outcome.stdout)
        assert.deepStrictEqual(
          [...described.keys()],
          facts.map(([flag]) => flag)
        )
        for (const [flag, value, fact] of facts) {
          const text = described.get(flag) ?? ""
          assert.include(text, value, flag)
          assert.include(text, fact, flag)
          assert.match(text, new RegExp(`env: LLMPERF_${flag.toUpperCase().replaceAll("-", "_")}\\)$`), flag)
          // More than names and facts: a sentence that explains it.
          assert.isAbove(text.replace(/\([^)]*\)$/, "").length, flag.length + value.length + 12, flag)
        }
        assert.deepStrictEqual(yield* llmperf([command, "-h"]), outcome)
        assert.deepStrictEqual(yield* llmperf([command, "--model", "x", "--help"]), outcome)
      })
    )

    it.effect(`of ${command} is readable, and its examples are right`, () =>
      Effect.gen(function* () {
        const { stdout } = yield* llmperf([command, "--help"])
        assert.notMatch(stdout, /undefined|\[object|NaN/)
        assert.notInclude(stdout, "\u001B")
        const [text = "", examples = ""] = stdout.split("\nEXAMPLES\n")
        for (const line of text.split("\n")) assert.isAtMost(line.length, 100, line)
        const commands = examples.split("\n").flatMap((line) => /^ {2}llmperf (.*)$/.exec(line)?.[1] ?? [])
        assert.isAtLeast(commands.length, 3)
        for (const each of commands) {
          const [name, ...args] = each.replace(/ > \S+$/, "").split(" ")
          assert.strictEqual(name, command)
          if (command === "load-test" && !each.includes("--config")) yield* parse(args)
          for (const arg of args) {
            const flag = /^--([a-z-]+)/.exec(arg)?.[1]
            if (flag !== undefined) assert.include([...flagsIn(stdout).keys()], flag)
          }
        }
      })
    )
  }

  it.effect("is there whatever the environment says", () =>
    Effect.gen(function* () {
      const env = {
        LLMPERF_CONFIG: "/does/not/exist.yaml",
        LLMPERF_SEED: "not a number",
        LLMPERF_HEADER: "not a header"
      }
      const outcome = yield* llmperf(["load-test", "--help"], { env })
      clean(outcome)
      assert.include(outcome.stdout, "--max-num-completed-requests")
      clean(yield* llmperf(["load-test", "--config", "/does/not/exist.yaml", "-h"]))
    })
  )
})

describe("version", () => {
  it.effect("is printed on standard output", () =>
    Effect.gen(function* () {
      for (const args of [["--version"], ["-v"], ["load-test", "--version"]]) {
        const outcome = yield* llmperf(args)
        clean(outcome)
        assert.strictEqual(outcome.stdout, "llmperf 1.2.3\n")
      }
    })
  )
})
