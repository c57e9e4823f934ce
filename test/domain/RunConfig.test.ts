import { assert, describe, it } from "@effect/vitest"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import { LoadTestConfig, ReplayConfig } from "../../src/domain/RunConfig.ts"

const valid: LoadTestConfig = {
  model: "m",
  llmApi: "openai",
  meanInputTokens: 550,
  stddevInputTokens: 150,
  meanOutputTokens: 150,
  stddevOutputTokens: 0,
  numConcurrentRequests: 1,
  maxNumCompletedRequests: 1,
  timeoutSeconds: 0.5,
  graceSeconds: 0,
  requestTimeoutSeconds: null,
  additionalSamplingParams: { temperature: 0, stop: ["a"], nested: { x: null } },
  metadata: { team: "a" },
  seed: 0,
  promptMode: "exact",
  countTokens: "auto",
  warmup: true,
  warmupRequests: 0,
  requestIdHeader: null,
  runId: "run",
  resultsDir: null
}

const decode = Schema.decodeUnknownExit(LoadTestConfig)

describe("LoadTestConfig", () => {
  it("takes the smallest values that make sense", () => {
    assert.deepStrictEqual(decode(valid), Exit.succeed(valid))
  })

  it.each([
    ["model", ""],
    ["llmApi", ""],
    ["meanInputTokens", 0],
    ["meanInputTokens", 1.5],
    ["stddevInputTokens", -1],
    ["meanOutputTokens", 0],
    ["stddevOutputTokens", Number.NaN],
    ["numConcurrentRequests", 0],
    ["maxNumCompletedRequests", 0],
    ["timeoutSeconds", 0],
    ["timeoutSeconds", Infinity],
    ["graceSeconds", -1],
    ["requestTimeoutSeconds", 0],
    ["additionalSamplingParams", null],
    ["metadata", { team: 1 }],
    ["seed", -1],
    ["seed", 0.5],
    ["promptMode", "other"],
    ["warmupRequests", -1],
    ["requestIdHeader", ""],
    ["runId", ""],
    ["resultsDir", ""]
  ])("refuses %s %j, and names it", (key, value) => {
    const exit = decode({ ...valid, [key]: value })
    assert.isTrue(Exit.isFailure(exit))
    assert.include(String(exit), key)
  })

  it("refuses a missing key", () => {
    for (const key of Object.keys(valid)) {
      const { [key as keyof LoadTestConfig]: _left, ...rest } = valid
      assert.isTrue(Exit.isFailure(decode(rest)), key)
    }
  })
})

describe("ReplayConfig", () => {
  const replay: ReplayConfig = {
    model: "m",
    llmApi: "openai",
    timeoutSeconds: null,
    graceSeconds: 0,
    requestTimeoutSeconds: null,
    maxInFlight: null,
    whenFull: "queue",
    maxSampledRequestsPerSecond: null,
    additionalSamplingParams: {},
    metadata: {},
    seed: 0,
    promptMode: "llmperf",
    countTokens: "auto",
    warmup: false,
    warmupRequests: 0,
    requestIdHeader: null,
    runId: "run",
    resultsDir: null
  }
  const decodeReplay = Schema.decodeUnknownExit(ReplayConfig)

  it("takes no limits, and the smallest that make sense", () => {
    assert.deepStrictEqual(decodeReplay(replay), Exit.succeed(replay))
    const limited = {
      ...replay,
      timeoutSeconds: 0.001,
      maxInFlight: 1,
      whenFull: "abort",
      maxSampledRequestsPerSecond: 0
    }
    assert.deepStrictEqual<unknown>(decodeReplay(limited), Exit.succeed(limited))
  })

  it.each([
    ["timeoutSeconds", 0],
    ["maxInFlight", 0],
    ["maxInFlight", 1.5],
    ["whenFull", "wait"],
    ["maxSampledRequestsPerSecond", -1],
    ["maxSampledRequestsPerSecond", 0.5],
    ["seed", -1],
    ["model", ""]
  ])("refuses %s %j, and names it", (key, value) => {
    const exit = decodeReplay({ ...replay, [key]: value })
    assert.isTrue(Exit.isFailure(exit))
    assert.include(String(exit), key)
  })
})
