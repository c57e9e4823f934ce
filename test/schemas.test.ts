import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as TestClock from "effect/testing/TestClock"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { differing, schemas } from "../scripts/schemas.ts"
import { type NetworkFacts } from "../src/cli/internal/network.ts"
import * as Analysis from "../src/engine/Analysis.ts"
import * as Correctness from "../src/engine/Correctness.ts"
import { type WarmUpReport } from "../src/engine/WarmUp.ts"
import * as LiveStats from "../src/metrics/LiveStats.ts"
import * as HealthSummary from "../src/metrics/HealthSummary.ts"
import { SummarySink } from "../src/metrics/SummarySink.ts"
import * as Threshold from "../src/metrics/Threshold.ts"
import * as Verdict from "../src/metrics/Verdict.ts"
import * as CalibrationCache from "../src/output/CalibrationCache.ts"
import * as CalibrationFields from "../src/output/CalibrationFields.ts"
import * as ResultFiles from "../src/output/ResultFiles.ts"
import * as ThresholdReport from "../src/output/ThresholdReport.ts"
import * as VerdictText from "../src/output/VerdictText.ts"
import { Provider } from "../src/provider/Provider.ts"
import { layerInline } from "../src/workload/TokenCounter.ts"
import * as Tokenizer from "../src/workload/Tokenizer.ts"
import * as Replays from "./engine/replays.ts"
import * as Runs from "./engine/runs.ts"
import * as Scripted from "./engine/scriptedProvider.ts"
import { checker, closed, type Schema } from "./jsonSchema.ts"
import { loadOf, machine } from "./output/calibrations.ts"

const all: ReadonlyMap<string, Schema> = schemas()

const check = checker(all)

/** As `check`, with no key that is not described but those of the metadata that these tests give. */
const checkClosed = checker(closed(all, ["team"]))

const conforms = (name: string, ...path: ReadonlyArray<string>) =>
  Effect.map(Runs.readText(...path), (text) => {
    const values: ReadonlyArray<unknown> = /\.(ndjson|log)$/.test(path.at(-1) ?? "")
      ? text
          .split("\n")
          .slice(0, -1)
          .map((line) => JSON.parse(line))
      : [JSON.parse(text)]
    assert.isNotEmpty(values)
    for (const value of values) {
      assert.deepStrictEqual(check(name, value), [], `${path.join("/")} against ${name}`)
      assert.deepStrictEqual(checkClosed(name, value), [], `${path.join("/")} against ${name}, every key of it`)
    }
  })

/** Every schema within, with its place. */
const within = (value: unknown, place: string): ReadonlyArray<readonly [string, Schema]> => {
  if (Array.isArray(value)) return value.flatMap((item, index) => within(item, `${place}/${index}`))
  if (typeof value !== "object" || value === null) return []
  const entries = Object.entries(value)
  return [[place, Object.fromEntries(entries)], ...entries.flatMap(([key, inner]) => within(inner, `${place}/${key}`))]
}

describe("docs/schemas", () => {
  it("is as the definitions have it, and every key says what it is", () => {
    assert.deepStrictEqual(differing(join(import.meta.dirname, "..", "docs", "schemas")), [])
    for (const [name, schema] of all) {
      assert.strictEqual(schema["$schema"], "https://json-schema.org/draft/2020-12/schema")
      assert.strictEqual(schema["$id"], name)
      for (const [place, each] of within(schema, name)) {
        if (!place.endsWith("/properties")) continue
        for (const [key, property] of Object.entries(each)) {
          assert.isTrue(
            typeof property === "object" && property !== null && "description" in property,
            `${place}/${key}`
          )
        }
      }
    }
    // What has a unit in its name has it in its text
    for (const [key, property] of Object.entries(
      JSON.parse(readFileSync(join(import.meta.dirname, "../docs/schemas/record.json"), "utf8")).properties
    )) {
      if (key.endsWith("_s")) assert.match(JSON.stringify(property), /in (tokens per )?s\b/, key)
    }
  })

  it.effect("describes the files of a load test, and of its analysis", () =>
    Runs.inFolder((folder) =>
      Effect.gen(function* () {
        yield* Runs.complete({
          config: {
            resultsDir: folder,
            metadata: { team: "x", seed: "a text" },
            additionalSamplingParams: { stop: ["a"], nested: { a: 1 } }
          },
          script: Runs.mixed
        })
        const base = "org-demo-7b_60_8_"
        yield* conforms("run.json", folder, "run.json")
        yield* conforms("record.json", folder, "records.ndjson")
        yield* conforms("individual-responses.json", folder, `${base}individual_responses.json`)
        yield* conforms("summary.json", folder, `${base}summary.json`)
        const analysis = yield* Analysis.analyze({ path: folder, skipFirst: 2 })
        const published = yield* Analysis.publish(folder, analysis)
        yield* conforms("summary.json", published.summary)
        yield* conforms("individual-responses.json", published.individualResponses)
      })
    )
  )

  it.effect("describes the files of a schedule", () =>
    Runs.inFolder((folder) =>
      Effect.gen(function* () {
        const schedule = Replays.scheduleOf(Array.from({ length: 10 }, (_, index) => ({ offset: index / 10 })))
        const config = { resultsDir: folder, maxSampledRequestsPerSecond: 4 }
        yield* Replays.complete({ schedule, config, script: Runs.mixed })
        const run = [folder, Replays.folderName] as const
        yield* conforms("run.json", ...run, "run.json")
        yield* conforms("record.json", ...run, "records.ndjson")
        yield* conforms("requests-sent.json", ...run, "requests_sent.log")
        yield* conforms("individual-responses.json", ...run, "individual_responses.json")
        yield* conforms("schedule-summary.json", ...run, "summary.json")
        const lines = (yield* Runs.readText(...run, "requests_sent.log")).split("\n")
        assert.isTrue(lines.some((line) => line.includes('"unsampled":true')))
      })
    )
  )

  it.effect("describes the files of a correctness test", () =>
    Runs.inFolder((folder) =>
      Effect.gen(function* () {
        const { provider } = yield* Scripted.make(Runs.mixed)
        const live = LiveStats.make()
        const config = { ...Runs.common, numConcurrentRequests: 4, maxNumCompletedRequests: 10, timeoutSeconds: 90 }
        const fiber = yield* Correctness.run({ config: { ...config, resultsDir: folder }, live }).pipe(
          Effect.scoped,
          Effect.provideService(Provider, provider),
          Effect.provide(Layer.provideMerge(layerInline, Tokenizer.layerLlama)),
          Effect.forkChild
        )
        yield* Runs.until(() => live.startNanos !== null || fiber.pollUnsafe() !== undefined)
        yield* TestClock.adjust("10 minutes")
        yield* Fiber.join(fiber)
        const base = "org-demo-7b_correctness_"
        yield* conforms("run.json", folder, "run.json")
        yield* conforms("correctness-record.json", folder, "records.ndjson")
        yield* conforms("correctness-individual-responses.json", folder, `${base}individual_responses.json`)
        yield* conforms("correctness-summary.json", folder, `${base}summary.json`)
      })
    )
  )

  it.effect("describes a calibration", () =>
    Runs.inFolder((folder) =>
      Effect.gen(function* () {
        const limit = { per_s: 10_000, in_flight: 64, limit: "client" } as const
        const path = yield* CalibrationCache.write(folder, {
          machine,
          limits: { measured_at: "now", requests: limit, tokens: limit, paced_tokens: null, paced_itl_s: 0.02 },
          loads: [loadOf("a", {})]
        })
        yield* conforms("calibration.json", path ?? "")
      })
    )
  )

  it("describes what a summary says of a calibration, of thresholds, of limits and of the way to the server", () => {
    const summary = new SummarySink().summary({ wallSeconds: 1 })
    const load = loadOf("2026-01-02T03:04:05.000Z", { in_flight: 200 })
    const warmUp: WarmUpReport = {
      rehearsed_requests: 32,
      opened_connections: 4,
      requests: 1,
      failed_requests: 0,
      duration_s: 0.5
    }
    const network: NetworkFacts = {
      tls_verified: true,
      ca: "ca.pem",
      client_certificate: null,
      http2: false,
      server: null,
      connections: "reuse",
      proxy: "http://proxy:3128"
    }
    const thresholds = ["ttft_s.p99 < 1s", "error_rate <= 0"].map((text) => Result.getOrThrow(Threshold.parse(text)))
    const described = (details: ResultFiles.Fields) => {
      const document = ResultFiles.document({
        name: "n",
        parameters: { model: "m", additional_sampling_params: { stop: ["a"], nested: { a: null } } },
        results: summary,
        resultsPrefix: "results_",
        details,
        metadata: {},
        timestamp: 1
      })
      return checkClosed("summary.json", JSON.parse(ResultFiles.stringify(document)))
    }
    assert.deepStrictEqual(
      described({
        network,
        warmup: warmUp,
        schedule_changes: { speed: 2, loop: { times: 3 } },
        ...CalibrationFields.fields(load),
        ...VerdictText.fields({
          verdict: { grade: "VALID", reasons: [], slices: [], sampled: true },
          health: HealthSummary.make(null, { ...new Verdict.DispatchTally().report(), own_errors: { EMFILE: 2 } }),
          limits: { ...Verdict.defaultLimits, steal: { degraded: 0.5, invalid: null } }
        }),
        thresholds: ThresholdReport.document(Threshold.check(thresholds, { summary }))
      }),
      []
    )
    assert.deepStrictEqual(described({ warmup: null, ...CalibrationFields.fields(null), thresholds: [] }), [])
    assert.sameMembers(
      [...described({ network: { ...network, extra: 1 }, calibration: { lag: { p50_s: "1" } } })],
      [": additionalProperties network_extra", "/calibration_lag_p50_s: anyOf"]
    )
  })

  it.effect("refuses what our files never hold", () =>
    Runs.inFolder((folder) =>
      Effect.gen(function* () {
        yield* Runs.complete({ config: { resultsDir: folder } })
        const [first = {}] = yield* Runs.readRecords(folder, "records.ndjson")
        assert.deepStrictEqual(check("record.json", first), [])
        const { sampled: _, ...lacking } = first
        for (const [value, place] of [
          [lacking, ": required sampled"],
          [{ ...first, ttft_s: "0.1" }, "/ttft_s: anyOf"],
          [{ ...first, request_id: 1.5 }, "/request_id: type"],
          [{ ...first, rate_limit: { a: 1 } }, "/rate_limit: anyOf"],
          [{ ...first, error_msg: null }, "/error_msg: type"]
        ] as const) {
          assert.deepStrictEqual(check("record.json", value), [place])
        }
        assert.deepStrictEqual(check("individual-responses.json", [first, lacking]), ["/1: required sampled"])
        const summary = yield* Runs.readSummary(folder, "org-demo-7b_60_8_summary.json")
        assert.deepStrictEqual(check("summary.json", { ...summary, results_ttft_s_mean: "1" }), [
          "/results_ttft_s_mean: anyOf"
        ])
        const verdict = { ...summary, verdict: "FINE", verdict_slices: [{ from_s: 0 }], health_gc_count: "3" }
        assert.sameMembers(
          [...check("summary.json", { ...verdict, verdict_limits_steal_invalid: -1 })],
          [
            "/verdict: anyOf",
            "/verdict_slices/0: required to_s",
            "/verdict_slices/0: required verdict",
            "/verdict_slices/0: required checks",
            "/health_gc_count: anyOf",
            "/verdict_limits_steal_invalid: anyOf"
          ]
        )
        assert.deepStrictEqual(checkClosed("summary.json", { ...summary, team: "x", health_gc: 1 }), [
          ": additionalProperties health_gc"
        ])
        const run = yield* Runs.readSummary(folder, "run.json")
        assert.deepStrictEqual(check("run.json", { ...run, format: 2 }), ["/format: enum"])
      })
    )
  )
})
