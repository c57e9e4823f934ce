import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as ConfigFile from "../../src/cli/internal/configFile.ts"
import { file, parse as parseNoted, type Surroundings, valuesOf } from "./invocation.ts"

const parse = (given: ReadonlyArray<string>, around?: Surroundings) => Effect.map(parseNoted(given, around), valuesOf)

const rejected = (args: ReadonlyArray<string>, env?: { readonly [name: string]: string }) =>
  Effect.map(Effect.flip(parse(args, { env })), (error) => {
    if (error._tag === "ShowHelp") return error.errors.map(({ message }) => message).join("\n")
    return error.message
  })

describe("defaults", () => {
  it.effect("are those of LLMPerf, and our own", () =>
    Effect.gen(function* () {
      const { sim, ...input } = yield* parse([])
      assert.deepStrictEqual(input, {
        model: "m",
        llmApi: { value: "openai", given: false },
        provider: Option.none(),
        apiBase: Option.none(),
        endpoint: "chat",
        payloadStyle: Option.none(),
        vertexRoute: Option.none(),
        abortOnErrors: { _tag: "Permanent", count: 50 },
        meanInputTokens: 550,
        stddevInputTokens: 150,
        meanOutputTokens: 150,
        stddevOutputTokens: 80,
        numConcurrentRequests: 10,
        maxNumCompletedRequests: 10,
        timeout: 90,
        grace: 30,
        requestRate: Option.none(),
        ramp: Option.none(),
        stages: Option.none(),
        arrival: "poisson",
        burstiness: Option.none(),
        burstSize: Option.none(),
        duration: Option.none(),
        scheduleFile: Option.none(),
        scheduleFileSubdir: true,
        scheduleTimeout: Option.none(),
        map: Option.none(),
        from: Option.none(),
        to: Option.none(),
        speed: Option.none(),
        loop: Option.none(),
        maxRate: Option.none(),
        limit: Option.none(),
        scaleInput: Option.none(),
        scaleOutput: Option.none(),
        maxSampledRequestsPerSecond: Option.none(),
        maxInFlight: Option.none(),
        whenFull: "queue",
        workers: 1,
        agents: Option.none(),
        cluster: Option.none(),
        expectAgents: Option.none(),
        tokenFile: Option.none(),
        tlsCert: Option.none(),
        tlsKey: Option.none(),
        tlsCa: Option.none(),
        prometheusPort: Option.none(),
        prometheusHost: Option.none(),
        otlp: Option.none(),
        chunkTimes: false,
        requestTimeout: null,
        idleTimeout: 180,
        connectTimeout: 10,
        ca: Option.none(),
        insecure: false,
        http2: false,
        connections: "reuse",
        clientCert: Option.none(),
        clientKey: Option.none(),
        proxy: Option.none(),
        additionalSamplingParams: {},
        ignoreEos: false,
        usagePerChunk: false,
        header: [],
        requestIdHeader: "x-request-id",
        runId: Option.none(),
        seed: Option.none(),
        tokenizer: "llama",
        countTokens: { value: "auto", given: false },
        promptMode: "exact",
        samePrompts: false,
        strict: false,
        verdictLimit: [],
        threshold: [],
        allowUnknown: false,
        report: false,
        calibrate: false,
        warmup: true,
        warmupRequests: 0,
        resultsDir: Option.none(),
        metadata: [],
        json: false,
        quiet: false,
        config: Option.none()
      })
      assert.deepStrictEqual(sim, {
        ttft: Option.none(),
        itl: Option.none(),
        prefillRate: 10_000,
        decodeStep: 0.012,
        decodeStepPerSequence: 0.0001,
        maxBatch: 256,
        kvTokens: 500_000,
        tokensPerChunk: 1,
        fault: [],
        wrongRate: 0,
        silentRate: 0
      })
    })
  )
})

describe("values", () => {
  it.effect.each([
    ["30s", 30],
    ["1m30s", 90],
    ["1m 30s", 90],
    ["500ms", 0.5],
    ["2 seconds", 2],
    ["2", 2],
    ["0.25", 0.25],
    ["1.5h", 5_400],
    ["2 Minutes", 120],
    ["1d", 86_400],
    ["250 milliseconds", 0.25],
    [" 7 ", 7]
  ] as const)("takes the duration %s", ([text, seconds]) =>
    Effect.gen(function* () {
      const input = yield* parse([`--timeout=${text}`, "--grace", text, "--request-timeout", text])
      assert.strictEqual(input.timeout, seconds)
      assert.strictEqual(input.grace, seconds)
      assert.strictEqual(input.requestTimeout, seconds)
    })
  )

  it.effect.each(["", " ", "abc", "5x", "-1", "1s2", "s", "1..5s", "1e3", "NaN", "Infinity", "5 constructor", "1,5s"])(
    "takes no duration from %j",
    (text) =>
      Effect.gen(function* () {
        for (const flag of ["timeout", "grace", "request-timeout", "idle-timeout", "connect-timeout"]) {
          const message = yield* rejected([`--${flag}=${text}`])
          assert.include(message, `--${flag}`)
          assert.include(message, "30s, 1m30s, 500ms")
        }
      })
  )

  it.effect("takes no time at all for a grace, but not for a limit", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* parse(["--grace", "0"])).grace, 0)
      assert.strictEqual((yield* parse(["--request-timeout", "none"])).requestTimeout, null)
      for (const flag of ["timeout", "request-timeout", "idle-timeout", "connect-timeout"]) {
        for (const none of ["0", "0s", "0ms"]) assert.include(yield* rejected([`--${flag}`, none]), `--${flag}`)
      }
    })
  )

  const counts = [
    "mean-input-tokens",
    "mean-output-tokens",
    "num-concurrent-requests",
    "max-num-completed-requests",
    "sim-max-batch",
    "sim-kv-tokens",
    "sim-prefill-rate",
    "sim-tokens-per-chunk"
  ]

  it.effect.each([
    "0",
    "-1",
    "1.5",
    "abc",
    "NaN",
    "1e999",
    "Infinity",
    "",
    "1_000",
    "10 tokens",
    "99999999999999999999"
  ])("takes no count from %j", (text) =>
    Effect.gen(function* () {
      for (const flag of counts) {
        const message = yield* rejected([`--${flag}`, text])
        assert.include(message, `--${flag}`)
        assert.include(message, "a whole number above 0")
      }
    })
  )

  it.effect("takes numbers that are not negative for spreads, seeds and numbers of requests", () =>
    Effect.gen(function* () {
      const input = yield* parse([
        "--stddev-input-tokens=0",
        "--stddev-output-tokens=12.5",
        "--seed=0",
        "--warmup-requests=3"
      ])
      assert.strictEqual(input.stddevInputTokens, 0)
      assert.strictEqual(input.stddevOutputTokens, 12.5)
      assert.deepStrictEqual(input.seed, Option.some(0))
      assert.strictEqual(input.warmupRequests, 3)
      for (const text of ["-1", "abc", "NaN", "1e999", "Infinity", ""]) {
        for (const flag of ["stddev-input-tokens", "stddev-output-tokens", "seed", "warmup-requests"]) {
          assert.include(yield* rejected([`--${flag}`, text]), `--${flag}`)
        }
      }
      for (const flag of ["seed", "warmup-requests"]) assert.include(yield* rejected([`--${flag}`, "1.5"]), `--${flag}`)
    })
  )

  it.effect("takes sampling parameters as an object of JSON", () =>
    Effect.gen(function* () {
      const params = '{"temperature":0,"stop":["a","b"],"stream_options":null,"nested":{"a":1}}'
      assert.deepStrictEqual(
        (yield* parse(["--additional-sampling-params", params])).additionalSamplingParams,
        JSON.parse(params)
      )
      for (const text of ["", "{", "[1]", "3", "null", '"text"', "temperature=0", "{'temperature': 0}"]) {
        const message = yield* rejected(["--additional-sampling-params", text])
        assert.include(message, "a JSON object")
      }
    })
  )

  it.effect("takes metadata as pairs, in which a value may hold = and, after a backslash, a comma", () =>
    Effect.gen(function* () {
      const input = yield* parse([
        "--metadata=gpu=H100, note=a=b,empty=",
        String.raw`--metadata=list=x\, y=2\,z,last=1`
      ])
      assert.deepStrictEqual(input.metadata.flat(), [
        ["gpu", "H100"],
        ["note", "a=b"],
        ["empty", ""],
        ["list", "x, y=2,z"],
        ["last", "1"]
      ])
      for (const text of ["gpu", "=H100", "", "a=1,,b=2", "a=1,b", " =x"]) {
        assert.include(yield* rejected(["--metadata", text]), "key=value")
      }
    })
  )

  it.effect("takes headers as curl does", () =>
    Effect.gen(function* () {
      const input = yield* parse(["-H", "X-Team: a: b", "--header", "x-empty:", "--header=Accept:text/plain "])
      assert.deepStrictEqual(input.header, [
        ["X-Team", "a: b"],
        ["x-empty", ""],
        ["Accept", "text/plain"]
      ])
      for (const text of ["X-Team", ": x", "X Team: a", "X-Team: a\nX-Other: b", "Ä: x", ""]) {
        assert.include(yield* rejected(["-H", text]), "X-Team: inference")
      }
    })
  )

  it.effect("takes only header values that can be sent", () =>
    Effect.gen(function* () {
      for (const text of ["X-Team: \u65e5\u672c", "X-Team: a\u0000b", "X-Team: a\u007fb"]) {
        assert.include(yield* rejected(["-H", text]), "X-Team: inference")
      }
      assert.deepStrictEqual((yield* parse(["-H", "X-Team: M\u00fcller\tund"])).header, [
        ["X-Team", "M\u00fcller\tund"]
      ])
    })
  )

  it.effect("takes headers that belong to the connection from nobody", () =>
    Effect.gen(function* () {
      for (const name of ["Content-Length", "transfer-encoding", "Connection", "Keep-Alive", "Upgrade", "Expect"]) {
        assert.include(yield* rejected(["-H", `${name}: 5`]), "belongs to the connection")
      }
    })
  )

  it.effect("takes the name of the header for ids, or none", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* parse(["--request-id-header", "X-Trace"])).requestIdHeader, "x-trace")
      assert.strictEqual((yield* parse(["--request-id-header", "None"])).requestIdHeader, null)
      for (const text of ["", "a b", "x:"])
        assert.include(yield* rejected(["--request-id-header", text]), "name of a header")
    })
  )

  it.effect("takes only a run id that fits into a header", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual((yield* parse(["--run-id", "nightly_7.a"])).runId, Option.some("nightly_7.a"))
      for (const text of ["", "\u65e5\u672c", "a\nb", "a b"])
        assert.include(yield* rejected(["--run-id", text]), "--run-id")
    })
  )

  it.effect("takes only the choices there are", () =>
    Effect.gen(function* () {
      for (const [flag, choices] of [
        [
          "llm-api",
          "openai, azure, anthropic, litellm, together, huggingface, vertexai, gemini, sagemaker, bedrock, ollama, simulated"
        ],
        ["endpoint", "chat, completions, responses"],
        ["payload-style", "jumpstart, tgi, messages"],
        ["vertex-route", "predict, raw, publisher"],
        ["prompt-mode", "exact, llmperf"]
      ] as const) {
        for (const text of ["", "other", "CHAT "]) assert.include(yield* rejected([`--${flag}`, text]), choices)
      }
    })
  )

  it.effect("takes an address with http or https", () =>
    Effect.gen(function* () {
      const base = "https://host.example:8443/v1?x=1"
      assert.deepStrictEqual((yield* parse(["--api-base", base])).apiBase, Option.some(base))
      for (const text of ["", "host", "localhost:8000/v1", "ftp://host", "http://", "/v1"]) {
        assert.include(yield* rejected(["--api-base", text]), "http or https")
      }
    })
  )

  it.effect("repeats no secret of an address that it refuses", () =>
    Effect.gen(function* () {
      for (const text of [
        "ftp://user:pa55word@host.example",
        "user:pa55word@host.example",
        "pa55word",
        "https://user:pa55word@ho st/v1",
        "//host.example/v1?api_key=pa55word"
      ]) {
        const told = yield* rejected(["--api-base", text])
        assert.include(told, "http or https")
        assert.notInclude(told, "pa55word")
        const ofVariable = yield* rejected([], { LLMPERF_API_BASE: text })
        assert.include(ofVariable, "LLMPERF_API_BASE")
        assert.notInclude(ofVariable, "pa55word")
      }
      assert.include(yield* rejected(["--api-base", "localhost:8000/v1"]), "localhost:8000/v1")
      assert.notInclude(yield* rejected(["--agents", "http://user:pa55word@host:1"]), "pa55word")
    })
  )

  it.effect("says which faults and latencies the simulator knows", () =>
    Effect.gen(function* () {
      const { sim } = yield* parse([
        "--sim-ttft",
        "lognormal:150ms:0.4",
        "--sim-fault",
        "429@5%",
        "--sim-fault",
        "reset:3"
      ])
      assert.deepInclude(Option.getOrThrow(sim.ttft), { shape: "lognormal", mean: 0.15, cv: 0.4 })
      assert.lengthOf(sim.fault, 2)
      assert.include(yield* rejected(["--sim-fault", "nonsense"]), "error-vllm")
      assert.include(yield* rejected(["--sim-fault", "429@500%"]), "KIND@P%")
      for (const text of ["fast", "normal:100ms", "lognormal:1:2:3", "-5ms", "uniform:1:2"]) {
        assert.include(yield* rejected([`--sim-itl=${text}`]), "exponential:100ms")
      }
    })
  )

  it.effect("names all that is wrong at once, and no more", () =>
    Effect.gen(function* () {
      const message = yield* rejected(["--modle", "x", "--grcae", "3"])
      assert.include(message, "--modle")
      assert.include(message, "--grcae")
    })
  )
})

describe("flags of an open loop", () => {
  const rates = ["request-rate", "burstiness", "speed", "scale-input", "scale-output"]
  const counts = ["burst-size", "max-rate", "limit", "max-in-flight"]
  const times = ["duration", "schedule-timeout", "to"]

  it.effect("take what they are for", () =>
    Effect.gen(function* () {
      const input = yield* parse([
        "--request-rate=0.5",
        "--arrival=gamma",
        "--burstiness=0.25",
        "--burst-size=4",
        "--duration=5m",
        "--ramp=1:20:5m",
        "--stages=5@1m,0@10s",
        "--max-in-flight=64",
        "--when-full=drop",
        "--max-sampled-requests-per-second=0",
        "--from=0",
        "--to=1h",
        "--speed=2.5",
        "--scale-input=0.5",
        "--schedule-timeout=90",
        "--no-schedule-file-subdir",
        "--map=offset=ts:ms,input=a,output=b"
      ])
      assert.deepInclude(input, {
        requestRate: Option.some(0.5),
        arrival: "gamma",
        burstiness: Option.some(0.25),
        burstSize: Option.some(4),
        duration: Option.some(300),
        maxInFlight: Option.some(64),
        whenFull: "drop",
        maxSampledRequestsPerSecond: Option.some(0),
        from: Option.some(0),
        to: Option.some(3_600),
        speed: Option.some(2.5),
        scaleInput: Option.some(0.5),
        scheduleTimeout: Option.some(90),
        scheduleFileSubdir: false
      })
      assert.deepStrictEqual(Option.getOrThrow(input.ramp).segments, [{ from: 1, to: 20, seconds: 300 }])
      assert.deepStrictEqual(Option.getOrThrow(input.stages).segments, [
        { from: 5, to: 5, seconds: 60 },
        { from: 0, to: 0, seconds: 10 }
      ])
      assert.deepStrictEqual((yield* parse(["--loop=3"])).loop, Option.some(3))
      assert.deepStrictEqual((yield* parse(["--loop=3h"])).loop, Option.some({ seconds: 10_800 }))
    })
  )

  it.effect.each(["0", "-1", "abc", "NaN", "Infinity", "1e999", ""])("take no rate, count or time from %j", (text) =>
    Effect.gen(function* () {
      for (const [flags, expected] of [
        [rates, "a number above 0"],
        [counts, "a whole number above 0"],
        [times, "a duration"]
      ] as const) {
        for (const flag of flags) {
          const message = yield* rejected([`--${flag}`, text])
          assert.include(message, `--${flag}`)
          assert.include(message, expected)
        }
      }
    })
  )

  it.effect("take only the choices and forms there are", () =>
    Effect.gen(function* () {
      for (const [flag, text, expected] of [
        ["arrival", "uniform", "constant, poisson, gamma, burst"],
        ["when-full", "wait", "queue, drop, abort"],
        ["ramp", "1:20", "FROM:TO:DURATION"],
        ["ramp", "0:0:5m", "FROM:TO:DURATION"],
        ["stages", "5", "RATE@DURATION"],
        ["map", "offset=ts", "offset=ts:ms,input=prompt_tokens"],
        ["loop", "often", "a number of times, or a duration"],
        ["max-sampled-requests-per-second", "0.5", "a whole number, 0 or more"],
        ["schedule-file", "", "not empty"]
      ] as const) {
        const message = yield* rejected([`--${flag}`, text])
        assert.include(message, `--${flag}`)
        assert.include(message, expected)
      }
    })
  )

  it.effect("know whether they were given, be it with their default", () =>
    Effect.gen(function* () {
      for (const [flag, key, text] of [
        ["mean-input-tokens", "meanInputTokens", "550"],
        ["num-concurrent-requests", "numConcurrentRequests", "10"],
        ["timeout", "timeout", "90s"],
        ["arrival", "arrival", "poisson"],
        ["when-full", "whenFull", "queue"]
      ] as const) {
        const variable = `LLMPERF_${flag.toUpperCase().replaceAll("-", "_")}`
        const config = yield* file("run.yaml", `${flag.replaceAll("-", "_")}: ${text}`)
        const left = (yield* parseNoted([]))[key]
        assert.isFalse(left.given)
        for (const given of [
          yield* parseNoted([`--${flag}`, text]),
          yield* parseNoted([], { env: { [variable]: text } }),
          yield* parseNoted(["--config", config])
        ]) {
          assert.deepStrictEqual<unknown>(given[key], { value: left.value, given: true })
        }
        // Empty is as good as not set.
        assert.isFalse((yield* parseNoted([], { env: { [variable]: "" } }))[key].given)
      }
    })
  )
})

describe("the environment", () => {
  const env = {
    LLMPERF_MEAN_INPUT_TOKENS: "700",
    LLMPERF_TIMEOUT: "2m",
    LLMPERF_WARMUP: "false",
    LLMPERF_IGNORE_EOS: "true",
    LLMPERF_ADDITIONAL_SAMPLING_PARAMS: '{"top_p":0.9}',
    LLMPERF_HEADER: "X-One: 1, 2\nX-Two: b\n",
    LLMPERF_METADATA: "gpu=H100,zone=a\nnote=x",
    LLMPERF_RESULTS_DIR: "out",
    LLMPERF_SIM_ITL: "5ms",
    LLMPERF_SIM_FAULT: "500@10%",
    LLMPERF_MODEL: "from-env",
    LLMPERF_SEED: ""
  }

  it.effect("stands in for flags", () =>
    Effect.gen(function* () {
      const input = yield* parse([], { env })
      assert.strictEqual(input.model, "from-env")
      assert.strictEqual(input.meanInputTokens, 700)
      assert.strictEqual(input.timeout, 120)
      assert.strictEqual(input.warmup, false)
      assert.strictEqual(input.ignoreEos, true)
      assert.deepStrictEqual(input.additionalSamplingParams, { top_p: 0.9 })
      assert.deepStrictEqual(input.header, [
        ["X-One", "1, 2"],
        ["X-Two", "b"]
      ])
      assert.deepStrictEqual(input.metadata.flat(), [
        ["gpu", "H100"],
        ["zone", "a"],
        ["note", "x"]
      ])
      assert.deepStrictEqual(input.resultsDir, Option.some("out"))
      assert.lengthOf(input.sim.fault, 1)
      // Empty is as good as not set.
      assert.isTrue(Option.isNone(input.seed))
    })
  )

  it.effect("loses against flags", () =>
    Effect.gen(function* () {
      const input = yield* parse(
        [
          "--model=from-flag",
          "--timeout=3s",
          "--warmup",
          "--no-ignore-eos",
          "--header=X-Three: 3",
          "--metadata=gpu=A100",
          "--sim-fault=reset:1"
        ],
        { env }
      )
      assert.strictEqual(input.model, "from-flag")
      assert.strictEqual(input.timeout, 3)
      assert.strictEqual(input.warmup, true)
      assert.strictEqual(input.ignoreEos, false)
      assert.deepStrictEqual(input.header, [["X-Three", "3"]])
      assert.deepStrictEqual(input.metadata.flat(), [["gpu", "A100"]])
      assert.strictEqual(input.sim.fault[0]?.kind, "reset")
      assert.strictEqual(input.meanInputTokens, 700)
    })
  )

  it.effect("is not repeated, nor is a flag, where it may hold a secret", () =>
    Effect.gen(function* () {
      const typed = "Bearer secret0123456789"
      const inFile = yield* file("run.yaml", `header: ${typed}\n`)
      const messages = [
        yield* rejected(["--header", typed]),
        yield* rejected(["-H", "X-Team: fine", "-H", typed]),
        yield* rejected(["--config", inFile]),
        yield* rejected([], { LLMPERF_HEADER: `X-Team: fine\n${typed}` })
      ]
      for (const message of messages) {
        assert.include(message, '--header: "***"')
        assert.notInclude(message, "secret0123456789")
      }
      assert.include(yield* rejected(["--proxy="]), '--proxy: "***"')
    })
  )

  it.effect("is checked like flags, and named", () =>
    Effect.gen(function* () {
      for (const [name, value] of [
        ["LLMPERF_SEED", "1.5"],
        ["LLMPERF_TIMEOUT", "soon"],
        ["LLMPERF_JSON", "maybe"],
        ["LLMPERF_METADATA", "gpu"]
      ] as const) {
        const message = yield* rejected([], { [name]: value })
        assert.include(message, `--${name.slice("LLMPERF_".length).toLowerCase()}: "${value}"`)
        assert.include(message, `given in ${name}`)
      }
    })
  )
})

const yaml = `
model: from-file
mean_input_tokens: 600
num-concurrent-requests: 20
timeout: 1m30s
grace: 5
warmup: false
ignore_eos: true
header:
  X-Team: inference
  X-Note: "a: b"
metadata:
  gpu: H100
  note: one, two=2
  count: 3
additional_sampling_params:
  temperature: 0.5
  stop: [a, b]
sim-fault: [429@5%, "reset:3"]
results-dir: null
`

describe("the config file", () => {
  it.effect("holds flags as keys, with - or _, lists and mappings", () =>
    Effect.gen(function* () {
      const input = yield* parse(["--config", yield* file("run.yaml", yaml)])
      assert.strictEqual(input.model, "from-file")
      assert.strictEqual(input.meanInputTokens, 600)
      assert.strictEqual(input.numConcurrentRequests, 20)
      assert.strictEqual(input.timeout, 90)
      assert.strictEqual(input.grace, 5)
      assert.strictEqual(input.warmup, false)
      assert.strictEqual(input.ignoreEos, true)
      assert.deepStrictEqual(input.header, [
        ["X-Team", "inference"],
        ["X-Note", "a: b"]
      ])
      assert.deepStrictEqual(input.metadata.flat(), [
        ["gpu", "H100"],
        ["note", "one, two=2"],
        ["count", "3"]
      ])
      assert.deepStrictEqual(input.additionalSamplingParams, { temperature: 0.5, stop: ["a", "b"] })
      assert.deepStrictEqual(
        input.sim.fault.map(({ kind }) => kind),
        ["429", "reset"]
      )
      assert.deepStrictEqual(input.resultsDir, Option.none())
      assert.isTrue(Option.isNone(input.seed))
    })
  )

  it.effect("wins against the environment and loses against flags", () =>
    Effect.gen(function* () {
      const path = yield* file("run.yaml", yaml)
      const env = {
        LLMPERF_CONFIG: path,
        LLMPERF_MODEL: "from-env",
        LLMPERF_GRACE: "7",
        LLMPERF_WARMUP: "true",
        LLMPERF_METADATA: "zone=a",
        LLMPERF_SEED: "5",
        LLMPERF_RESULTS_DIR: "from-env"
      }
      const input = yield* parse(["--num-concurrent-requests=3", "-H", "X-Mine: 1", "--no-ignore-eos"], { env })
      assert.strictEqual(input.model, "from-file")
      assert.strictEqual(input.grace, 5)
      assert.strictEqual(input.warmup, false)
      assert.strictEqual(input.metadata.flat().length, 3)
      assert.strictEqual(input.numConcurrentRequests, 3)
      assert.deepStrictEqual(input.header, [["X-Mine", "1"]])
      assert.strictEqual(input.ignoreEos, false)
      assert.deepStrictEqual(input.seed, Option.some(5))
      // The file says nothing with null.
      assert.deepStrictEqual(input.resultsDir, Option.some("from-env"))
      const other = yield* file("other.yaml", "grace: 9")
      assert.strictEqual((yield* parse(["--config", other], { env })).grace, 9)
    })
  )

  it.effect("may be given before the other flags, after them, or with =", () =>
    Effect.gen(function* () {
      const path = yield* file("run.yaml", "grace: 9\nseed: 4")
      for (const args of [
        ["--config", path, "--seed", "1"],
        ["--seed", "1", "--config", path],
        ["--seed=1", `--config=${path}`]
      ]) {
        const input = yield* parse(args)
        assert.strictEqual(input.grace, 9)
        assert.deepStrictEqual(input.seed, Option.some(1))
      }
    })
  )

  it.effect("is read also when other flags come before the command", () =>
    Effect.gen(function* () {
      const path = yield* file("run.yaml", "grace: 9")
      assert.strictEqual((yield* parse(["--config", path], { before: ["--log-level", "error"] })).grace, 9)
    })
  )

  it.effect("is read by the commands that run something, and by no other", () =>
    Effect.gen(function* () {
      const path = yield* file("run.yaml", "grace: 9")
      const expanded = (command: string) =>
        Effect.map(ConfigFile.expand([command, `--config=${path}`]), ({ args }) => args)
      for (const command of ["load-test", "correctness", "probe", "simulate"]) {
        assert.deepStrictEqual(yield* expanded(command), [command, "--grace=9", `--config=${path}`])
      }
      for (const command of ["serve", "recover"]) {
        assert.deepStrictEqual(yield* expanded(command), [command, `--config=${path}`])
      }
    }).pipe(Effect.provide([NodeServices.layer, ConfigProvider.layer(ConfigProvider.fromEnvRecord({}))]))
  )

  it.effect("may be empty", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* parse(["--config", yield* file("run.yaml", "{}")])).grace, 30)
      assert.strictEqual((yield* parse(["--config", yield* file("run.yaml", "# nothing yet\n")])).grace, 30)
    })
  )

  it.effect("may switch something off in two ways, and a flag switches it on again", () =>
    Effect.gen(function* () {
      for (const text of ["warmup: false", "no-warmup: true", "no_warmup: true"]) {
        const path = yield* file("run.yaml", text)
        assert.strictEqual((yield* parse(["--config", path])).warmup, false)
        assert.strictEqual((yield* parse(["--config", path, "--warmup"])).warmup, true)
      }
    })
  )

  it.effect.each([
    ["seed: 1.5", "--seed"],
    ["seed: true", "--seed"],
    ["seed: [1, 2]", "--seed"],
    ["seed:\n  a: 1", "--seed"],
    ["model: true", "--model"],
    ["json: 3", "--json"],
    ["concurrency: 3", "--concurrency"],
    ["num_concurrent_request: 3", "--num-concurrent-requests"],
    ["metadata: gpu", "--metadata"],
    ["header: [X-Team]", "--header"],
    ["additional-sampling-params: [1]", "--additional-sampling-params"],
    ["'a key': 1", "a key"]
  ] as const)("is refused with what is wrong in it: %s", ([text, named]) =>
    Effect.gen(function* () {
      assert.include(yield* rejected(["--config", yield* file("run.yaml", text)]), named)
    })
  )

  it.effect.each(["- a\n- b", "just text", "3", "a: [", "a: b: c", "\t- x: y"])(
    "is refused when it is no mapping: %j",
    (text) =>
      Effect.gen(function* () {
        const path = yield* file("run.yaml", text)
        assert.include(yield* rejected(["--config", path]), path)
      })
  )
})
