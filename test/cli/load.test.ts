import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { gzipSync } from "node:zlib"
import {
  connectionsOf,
  countTokensOf,
  type OpenLoad,
  plannedOf,
  resolve,
  sayExpected,
  warnOfEnd
} from "../../src/cli/internal/load.ts"
import * as ScheduleFile from "../../src/workload/ScheduleFile.ts"
import * as Tokenizer from "../../src/workload/Tokenizer.ts"
import { file, folder, llmperf, parse, type Surroundings } from "./invocation.ts"

const trace = (name: string) => fileURLToPath(new URL(`../fixtures/trace/${name}`, import.meta.url))

/** What the flags ask for, and what is said on standard error meanwhile. */
const resolved = Effect.fnUntraced(function* (args: ReadonlyArray<string>, around: Surroundings = {}) {
  const input = yield* parse(args, around)
  let said = ""
  const load = yield* resolve(input, {
    model: input.model,
    llmApi: "openai",
    graceSeconds: input.grace,
    requestTimeoutSeconds: null,
    additionalSamplingParams: {},
    metadata: {},
    seed: Option.getOrElse(input.seed, () => 11_111),
    promptMode: input.promptMode,
    samePrompts: input.samePrompts,
    countTokens: countTokensOf(input),
    warmup: false,
    warmupRequests: 0,
    requestIdHeader: null,
    runId: "run",
    resultsDir: null
  }).pipe(
    Effect.provideService(Console.Console, {
      ...globalThis.console,
      error: (...parts: ReadonlyArray<unknown>) => {
        said += `${parts.map(String).join(" ")}\n`
      }
    }),
    Effect.provide(Layer.merge(NodeServices.layer, Tokenizer.layerLlama))
  )
  return { load, said }
})

/** The open loop that the flags ask for, about which nothing needs to be said. */
const open = (...args: ReadonlyArray<string>) =>
  Effect.map(resolved(args), ({ load, said }): OpenLoad => {
    assert.strictEqual(said, "")
    return load._tag === "Open" ? load : assert.fail("not an open loop")
  })

/** What is said of wrong use. */
const refused = (args: ReadonlyArray<string>) =>
  Effect.map(Effect.flip(resolved(args)), (error) => {
    if (error._tag !== "CommandError") return assert.fail(error._tag)
    assert.strictEqual(error.exitCode, 2)
    return error.message
  })

const HEADER = "scheduled_offset_s,input_tokens,output_tokens"
const small = `${HEADER}\n2,60,9\n0.5,61,8\n1,62,7\n`

const csvOf = ({ schedule }: OpenLoad): string => [...ScheduleFile.toCsv(schedule)].join("")

describe("a closed loop", () => {
  it.effect("is what is asked for without a rate and a schedule", () =>
    Effect.gen(function* () {
      const { load, said } = yield* resolved(["--num-concurrent-requests=7", "--timeout=5s"])
      assert.strictEqual(said, "")
      assert.strictEqual(load._tag, "Closed")
      assert.deepInclude(load.config, {
        numConcurrentRequests: 7,
        maxNumCompletedRequests: 10,
        meanInputTokens: 550,
        timeoutSeconds: 5
      })
      assert.strictEqual(plannedOf(load), 10)
      assert.strictEqual(connectionsOf(load), 7)
    })
  )

  it.effect("is said to end before a time that was asked for, where it may", () =>
    Effect.gen(function* () {
      const said = Effect.fnUntraced(function* (...args: ReadonlyArray<string>) {
        const lines: Array<string> = []
        const error = (line: unknown): void => void lines.push(String(line))
        const { load } = yield* resolved(args)
        yield* Effect.provideService(warnOfEnd(yield* parse(args), load), Console.Console, {
          ...globalThis.console,
          error
        })
        return lines
      })
      const [line, ...others] = yield* said("--timeout=10m")
      assert.match(line ?? "", /^The test ends after 10 requests, .* or after --timeout 10m, whichever comes first\. /)
      assert.deepStrictEqual(others, [])
      assert.deepStrictEqual(yield* said("--timeout=10m", "--quiet"), [])
      assert.deepStrictEqual(yield* said("--timeout=10m", "--max-num-completed-requests=10"), [])
      assert.deepStrictEqual(yield* said("--request-rate=2", "--timeout=10m"), [])
      assert.deepStrictEqual(yield* said(), [])
    })
  )
})

describe("a schedule from a file", () => {
  it.effect("is taken as it is", () =>
    Effect.gen(function* () {
      const path = yield* file("s.csv", small)
      const load = yield* open(`--schedule-file=${path}`)
      assert.deepStrictEqual(load.origin, {
        _tag: "File",
        path,
        verbatim: true,
        subdir: true,
        portable: false,
        details: { schedule_format: "llmperf", schedule_changes: {} }
      })
      // Numbers of rows, in the order of time.
      assert.deepStrictEqual([...load.schedule.id], [2, 3, 1])
      assert.deepInclude(load.config, {
        timeoutSeconds: null,
        maxInFlight: null,
        whenFull: "queue",
        maxSampledRequestsPerSecond: null
      })
      assert.strictEqual(plannedOf(load), 3)
    })
  )

  it.effect("has the settings of an open loop", () =>
    Effect.gen(function* () {
      const path = yield* file("s.csv", small)
      const load = yield* open(
        `--schedule-file=${path}`,
        "--schedule-timeout=5m",
        "--no-schedule-file-subdir",
        "--max-in-flight=7",
        "--when-full=drop",
        "--max-sampled-requests-per-second=0"
      )
      assert.deepInclude(load.config, {
        timeoutSeconds: 300,
        maxInFlight: 7,
        whenFull: "drop",
        maxSampledRequestsPerSecond: 0
      })
      assert.deepInclude(load.origin, { subdir: false })
      assert.strictEqual(load.timeoutFlag, "--schedule-timeout")
    })
  )

  it.effect("is numbered anew when it is not replayed as it stands", () =>
    Effect.gen(function* () {
      const path = yield* file("s.csv", small)
      const packed = join(yield* folder, "s.csv.gz")
      writeFileSync(packed, gzipSync(small))
      const json = yield* file(
        "s.jsonl",
        '{"scheduled_offset_s":2,"input_tokens":60,"output_tokens":9}\n{"scheduled_offset_s":0.5,"input_tokens":61,"output_tokens":8}\n'
      )
      for (const [args, offsets] of [
        [
          [`--schedule-file=${path}`, "--speed=2"],
          [0.25, 0.5, 1]
        ],
        [
          [`--schedule-file=${path}`, "--limit=2"],
          [0.5, 1]
        ],
        [[`--schedule-file=${packed}`], [0.5, 1, 2]],
        [[`--schedule-file=${json}`], [0.5, 2]]
      ] as const) {
        const load = yield* open(...args)
        assert.deepInclude(load.origin, { verbatim: false })
        assert.deepStrictEqual([...load.schedule.offsetSeconds], [...offsets])
        assert.deepStrictEqual(
          [...load.schedule.id],
          offsets.map((_, index) => index + 1)
        )
      }
    })
  )

  it.effect("may be a trace, and be changed on the way", () =>
    Effect.gen(function* () {
      const load = yield* open(
        `--schedule-file=${trace("mooncake.jsonl")}`,
        "--speed=100",
        "--loop=2",
        "--scale-output=0.5",
        "--limit=18"
      )
      assert.deepInclude(load.origin, {
        details: {
          schedule_format: "mooncake",
          schedule_changes: { speed: 100, loop: 2, limit: 18, scaleOutput: 0.5 }
        }
      })
      assert.strictEqual(load.schedule.length, 18)
      assert.strictEqual(load.schedule.prefix?.blockTokens, 512)
      assert.strictEqual(load.schedule.outputTokens[0], 26)
      assert.strictEqual(load.schedule.outputTokens[12], 26)
    })
  )

  it.effect("may have columns of other names", () =>
    Effect.gen(function* () {
      const load = yield* open(
        `--schedule-file=${trace("own-log.csv")}`,
        "--map=offset=ts:ms,input=prompt_len,output=gen_len"
      )
      assert.deepStrictEqual([...load.schedule.offsetSeconds.subarray(0, 2)], [0, 0.257])
      assert.deepStrictEqual([...load.schedule.inputTokens.subarray(0, 2)], [300, 317])
    })
  )

  it.effect("says which rows are left out", () =>
    Effect.gen(function* () {
      const path = trace("burstgpt.csv")
      const { said } = yield* resolved([`--schedule-file=${path}`])
      assert.strictEqual(said, `2 of 12 rows of ${path} are left out: failed requests (0 response tokens)\n`)
      assert.strictEqual((yield* resolved([`--schedule-file=${path}`, "--quiet"])).said, "")
    })
  )
})

describe("arguments that a schedule makes useless", () => {
  const defaults = [
    ["stddev-input-tokens", "150"],
    ["stddev-output-tokens", "80"],
    ["num-concurrent-requests", "10"],
    ["timeout", "90"],
    ["max-num-completed-requests", "10"],
    ["mean-input-tokens", "550"],
    ["mean-output-tokens", "150"]
  ] as const

  const warning = /^Without effect, because the requests come from --schedule-file: (.*)\n$/
  const named = (said: string) => (warning.exec(said)?.[1] ?? "").split(", ")
  const shown = (flag: string) => (flag === "timeout" ? "--timeout (--schedule-timeout sets one)" : `--${flag}`)

  it.effect.each(defaults)("--%s is told of when it is given, be it with its default", ([flag, value]) =>
    Effect.gen(function* () {
      const path = `--schedule-file=${yield* file("s.csv", small)}`
      const variable = `LLMPERF_${flag.toUpperCase().replaceAll("-", "_")}`
      const config = yield* file("run.yaml", `${flag.replaceAll("-", "_")}: ${value}\n`)
      for (const { said } of [
        yield* resolved([path, `--${flag}`, value]),
        yield* resolved([path], { env: { [variable]: value } }),
        yield* resolved([path, `--config=${config}`])
      ]) {
        assert.deepStrictEqual(named(said), [shown(flag)])
      }
      assert.strictEqual((yield* resolved([path, "--quiet", `--${flag}`, value])).said, "")
    })
  )

  it.effect("all are told of in one line, and the others never", () =>
    Effect.gen(function* () {
      const path = `--schedule-file=${yield* file("s.csv", small)}`
      const { said } = yield* resolved([path, ...defaults.map(([flag, value]) => `--${flag}=${value}`)])
      assert.deepStrictEqual(
        named(said),
        defaults.map(([flag]) => shown(flag))
      )
      assert.strictEqual(
        (yield* resolved([path, "--seed=3", "--grace=1s", "--request-timeout=5s", "--schedule-timeout=9s"])).said,
        ""
      )
    })
  )
})

describe("a file that is no schedule", () => {
  it.effect.each([
    ["an offset below 0", `${HEADER}\n0,60,9\n-0.5,60,9\n`, ["line 3, scheduled_offset_s", '"-0.5"', "0 or more"]],
    ["an offset without end", `${HEADER}\ninf,60,9\n`, ["line 2, scheduled_offset_s", '"inf"', "seconds"]],
    ["an offset that is no number", `${HEADER}\nnan,60,9\n`, ["line 2, scheduled_offset_s", '"nan"']],
    ["an offset with a unit", `${HEADER}\n1s,60,9\n`, ["line 2, scheduled_offset_s", '"1s"']],
    ["half a token", `${HEADER}\n\n0,60.5,9\n`, ["line 3, input_tokens", '"60.5"', "whole number"]],
    ["no output tokens", `${HEADER}\n0,60,0\n`, ["line 2, output_tokens", '"0"', "1 or more"]],
    ["an empty cell", `${HEADER}\n0,,9\n`, ["line 2, input_tokens", "whole number"]],
    ["a prompt that is too short", `${HEADER}\n0,60,9\n1,12,9\n`, ["line 3, input_tokens", '"12"', "expected"]],
    ["a column that is missing", "scheduled_offset_s,input_tokens\n0,60\n", ["output_tokens", "--map"]],
    ["no columns at all", "0,60,9\n1,60,9\n", ["scheduled_offset_s", "--map"]],
    ["no rows", `${HEADER}\n`, ["at least one row"]],
    ["nothing", "", ["expected"]]
  ] as const)("is refused with its place and what was expected: %s", ([, text, told]) =>
    Effect.gen(function* () {
      const path = yield* file("bad.csv", text)
      const message = yield* refused([`--schedule-file=${path}`])
      assert.isTrue(message.startsWith(`${path}: `), message)
      for (const part of told) assert.include(message, part)
    })
  )

  it.effect("is checked to its end; the first 20 problems are shown", () =>
    Effect.gen(function* () {
      const rows = Array.from({ length: 30 }, (_, index) => (index % 2 === 0 ? "x,60,9" : "1,y,z"))
      const message = yield* refused([`--schedule-file=${yield* file("bad.csv", `${HEADER}\n${rows.join("\n")}\n`)}`])
      assert.include(message, "45 problems, the first 20 are")
      assert.lengthOf(message.match(/^ {2}line \d+, \w+: got ".", expected /gm) ?? [], 20)
    })
  )

  it.effect("is refused when it cannot be read", () =>
    Effect.gen(function* () {
      const root = yield* folder
      const cut = join(root, "cut.csv.gz")
      writeFileSync(cut, gzipSync(small.repeat(50)).subarray(0, 40))
      assert.include(yield* refused([`--schedule-file=${join(root, "none.csv")}`]), "there is no such file")
      assert.include(yield* refused([`--schedule-file=${root}`]), "cannot be read")
      assert.include(yield* refused([`--schedule-file=${cut}`]), "not whole gzip")
    })
  )

  it.effect("is refused when the changes leave nothing of it, or make too much", () =>
    Effect.gen(function* () {
      const path = `--schedule-file=${yield* file("s.csv", small)}`
      assert.match(yield* refused([path, "--from=1h"]), /No row is due at 3600 s or later/)
      assert.match(yield* refused([path, "--loop=365d"]), /20000000 are the most/)
    })
  )
})

const omitExpected = (origin: OpenLoad["origin"]) => ({
  ...origin,
  details: Object.fromEntries(Object.entries(origin.details).filter(([name]) => !name.startsWith("expected_")))
})

describe("sayExpected", () => {
  it.effect("says what lengths come to when many are too small, and nothing otherwise", () =>
    Effect.gen(function* () {
      const told = Effect.fnUntraced(function* (...args: ReadonlyArray<string>) {
        const { load } = yield* resolved(args)
        let said = ""
        yield* sayExpected(load).pipe(
          Effect.provideService(Console.Console, {
            ...globalThis.console,
            error: (...parts: ReadonlyArray<unknown>) => {
              said += `${parts.map(String).join(" ")}\n`
            }
          }),
          Effect.provide(Tokenizer.layerLlama)
        )
        return said
      })
      const truncated = ["--mean-input-tokens=60", "--stddev-input-tokens=40"]
      const text = "Input tokens: 60 ± 40 become about 77 ± 29, because lengths below 34 are drawn again\n"
      assert.strictEqual(yield* told(...truncated), text)
      assert.strictEqual(yield* told(...truncated, "--request-rate=10"), text)
      assert.strictEqual(yield* told(), "")
      assert.strictEqual(
        yield* told("--stddev-input-tokens=0", "--mean-output-tokens=1", "--stddev-output-tokens=0"),
        ""
      )
      assert.match(
        yield* told("--mean-output-tokens=10", "--stddev-output-tokens=20"),
        /^Output tokens: 10 ± 20 become/
      )
    })
  )
})

describe("arrivals at a rate", () => {
  it.effect.each([
    [["--request-rate=50", "--duration=2s"], []],
    [["--request-rate=50", "--duration=2s", "--arrival=constant"], []],
    [["--ramp=1:40:3s", "--duration=3s", "--arrival=gamma", "--burstiness=0.5"], []],
    [["--stages=5@2s,0@1s,30@2s", "--arrival=burst", "--burst-size=4"], []],
    [["--request-rate=20"], [["--max-num-completed-requests=33", "--limit=33"]]],
    [["--request-rate=20", "--duration=1s", "--mean-input-tokens=80", "--stddev-output-tokens=0", "--seed=5"], []]
  ] as const)("are those that schedule generate shows: %j", ([shared, differing]) =>
    Effect.gen(function* () {
      const load = yield* open(...shared, ...differing.map(([here]) => here))
      const shown = yield* llmperf(["schedule", "generate", ...shared, ...differing.map(([, there]) => there)])
      assert.strictEqual(shown.exitCode, 0)
      assert.isAbove(load.schedule.length, 10)
      assert.strictEqual(csvOf(load), shown.stdout)
    })
  )

  it.effect("last a minute unless something ends them", () =>
    Effect.gen(function* () {
      const load = yield* open("--request-rate=2", "--arrival=constant")
      assert.strictEqual(load.schedule.length, 120)
      assert.strictEqual(load.schedule.offsetSeconds[119], 59.5)
      assert.deepInclude(load.origin.details, { duration_s: 60, max_num_completed_requests: null })
      // The rate stays after a ramp.
      const ramp = yield* open("--ramp=1:3:10s", "--arrival=constant")
      assert.closeTo(ramp.schedule.length, 20 + 50 * 3, 1)
      assert.isAbove(ramp.schedule.offsetSeconds.at(-1) ?? 0, 59)
    })
  )

  it.effect("end with the stages, the duration or the number of requests", () =>
    Effect.gen(function* () {
      const stages = yield* open("--stages=1@50s,2@30s", "--arrival=constant")
      assert.closeTo(stages.schedule.length, 110, 1)
      assert.deepInclude(stages.origin.details, { duration_s: null, request_rate: "1@50s,2@30s requests/s" })
      const counted = yield* open("--request-rate=1", "--arrival=constant", "--max-num-completed-requests=100")
      assert.strictEqual(counted.schedule.length, 100)
      assert.strictEqual(counted.schedule.offsetSeconds[99], 99)
      assert.deepInclude(counted.origin.details, { max_num_completed_requests: 100 })
      // Whichever comes first.
      for (const [count, expected] of [
        [100, 10],
        [7, 7]
      ] as const) {
        const both = yield* open(
          "--request-rate=1",
          "--arrival=constant",
          "--duration=10s",
          `--max-num-completed-requests=${count}`
        )
        assert.strictEqual(both.schedule.length, expected)
      }
    })
  )

  it.effect("say what was asked for", () =>
    Effect.gen(function* () {
      const load = yield* open("--ramp=1:5:10s", "--duration=10s", "--arrival=gamma", "--burstiness=0.25")
      assert.isAbove(Number(load.origin.details["expected_mean_output_tokens"]), 155)
      assert.deepStrictEqual(omitExpected(load.origin), {
        _tag: "Arrivals",
        meanInputTokens: 550,
        stddevInputTokens: 150,
        meanOutputTokens: 150,
        stddevOutputTokens: 80,
        details: {
          request_rate: "1 to 5 requests/s over 10 s",
          arrival: "gamma",
          burstiness: 0.25,
          burst_size: null,
          duration_s: 10,
          max_num_completed_requests: null
        }
      })
      assert.strictEqual(load.shape, "1 to 5 requests/s over 10 s, gamma arrivals")
    })
  )

  it.effect("have a time limit only when one is given", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* open("--request-rate=2")).config.timeoutSeconds, null)
      const limited = yield* open("--request-rate=2", "--timeout=90s")
      assert.strictEqual(limited.config.timeoutSeconds, 90)
      assert.strictEqual(limited.timeoutFlag, "--timeout")
    })
  )
})

describe("connections that are opened ahead", () => {
  it.effect("are as many as requests in the busiest second, within the limit of those in flight", () =>
    Effect.gen(function* () {
      const rows = [0, 0.4, 5.1, 5.2, 5.9, 6.05, 6.11, 9].map((offset) => `${offset},60,9\n`)
      const path = `--schedule-file=${yield* file("s.csv", `${HEADER}\n${rows.join("")}`)}`
      assert.strictEqual(connectionsOf(yield* open(path)), 4)
      assert.strictEqual(connectionsOf(yield* open(path, "--max-in-flight=3")), 3)
      // A second is over when the next begins.
      const steady = yield* open("--request-rate=2", "--duration=9s", "--arrival=constant")
      assert.strictEqual(connectionsOf(steady), 2)
      const many = yield* open("--request-rate=1000", "--duration=1s", "--arrival=constant")
      assert.strictEqual(connectionsOf(many), 1_000)
    })
  )
})

describe("flags that contradict each other", () => {
  const needsFile = /: only with --schedule-file$/
  const needsRate = /: only with --request-rate, --ramp or --stages$/
  const needsOpen = /: only with an open loop: --schedule-file, --request-rate, --ramp or --stages$/
  const rate = "--request-rate=2"

  it.effect.each([
    [["--speed=2"], /^--speed: only/],
    [["--speed=2"], needsFile],
    [["--map=offset=a,input=b,output=c", "--from=1s", "--to=2s", "--loop=2"], /^--map, --from, --to, --loop: only/],
    [["--max-rate=2", "--limit=2", "--scale-input=2", "--scale-output=2"], needsFile],
    [["--schedule-timeout=5s"], needsFile],
    [["--no-schedule-file-subdir"], needsFile],
    [[rate, "--speed=2"], needsFile],
    [[rate, "--schedule-timeout=5s"], needsFile],
    [["--arrival=poisson"], needsRate],
    [["--burstiness=2", "--burst-size=2", "--duration=2s"], /^--burstiness, --burst-size, --duration: only/],
    [["--max-in-flight=2"], needsOpen],
    [["--max-in-flight=2", "--when-full=drop"], /^--max-in-flight, --when-full: only/],
    [["--max-sampled-requests-per-second=2"], needsOpen],
    [[rate, "--ramp=1:2:3s"], /^Give one of --request-rate, --ramp and --stages$/],
    [["--stages=1@2s", "--ramp=1:2:3s"], /^Give one of/],
    [[rate, "--num-concurrent-requests=10"], /--max-in-flight$/],
    [[rate, "--when-full=queue"], /--max-in-flight .*: give that too$/],
    [[rate, "--arrival=gamma"], /^--burstiness goes with --arrival gamma/],
    [[rate, "--burstiness=2"], /^--burstiness goes with --arrival gamma/],
    [[rate, "--arrival=burst"], /^--burst-size goes with --arrival burst/],
    [[rate, "--mean-input-tokens=20"], /smallest possible value is \d+$/],
    [["--request-rate=1000000", "--duration=1h"], /too many: at most 20000000/],
    [["--request-rate=0.001", "--duration=1ms"], /^No request arrives in that time: give a longer --duration/]
  ] as const)("are refused, and it is said what to do: %j", ([args, told]) =>
    Effect.gen(function* () {
      assert.match(yield* refused(args), told)
    })
  )

  it.effect.each([
    [[rate], /^Give either --schedule-file or a rate \(--request-rate, --ramp, --stages\), not both$/],
    [["--stages=1@2s"], /not both$/],
    [["--ramp=1:2:3s"], /not both$/],
    [["--duration=5s"], needsRate],
    [["--arrival=constant"], needsRate],
    [["--when-full=abort"], /give that too$/]
  ] as const)("are refused beside a schedule: %j", ([args, told]) =>
    Effect.gen(function* () {
      const path = `--schedule-file=${yield* file("s.csv", small)}`
      assert.match(yield* refused([path, ...args]), told)
    })
  )
})

describe("whose tokens", () => {
  it.effect("are the tokenizer's with LLMPerf's prompts, unless it is said", () =>
    Effect.gen(function* () {
      for (const [args, expected] of [
        [[], "auto"],
        [["--count-tokens=server"], "server"],
        [["--count-tokens=tokenizer"], "tokenizer"],
        [["--prompt-mode=llmperf"], "tokenizer"],
        [["--prompt-mode=llmperf", "--count-tokens=auto"], "auto"],
        [["--prompt-mode=llmperf", "--count-tokens=server"], "server"]
      ] as const) {
        assert.strictEqual((yield* resolved(args)).load.config.countTokens, expected, args.join(" "))
      }
    })
  )
})
