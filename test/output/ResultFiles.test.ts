import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { type Summary } from "../../src/domain/Summary.ts"
import * as Ndjson from "../../src/output/Ndjson.ts"
import * as ResultFiles from "../../src/output/ResultFiles.ts"
import { layerChanged, systemFailure } from "./failingFiles.ts"
import { outcomes, summaryOf } from "./results.ts"

const inTemporary = <A, E, R>(use: (join: (...parts: ReadonlyArray<string>) => string) => Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const root = yield* fs.makeTempDirectoryScoped()
    return yield* use((...parts) => path.join(root, ...parts))
  }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))

const fixture = (name: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    return yield* fs.readFileString(path.join(import.meta.dirname, "..", "fixtures", "output", name))
  })

const parameters = ResultFiles.parameters({
  model: "meta-llama/Llama-2-7b-chat-hf",
  meanInputTokens: 550,
  stddevInputTokens: 150,
  meanOutputTokens: 150,
  stddevOutputTokens: 80,
  numConcurrentRequests: 10,
  additionalSamplingParams: { temperature: 0.5, stop: ["a", "b"], nested: { deep: { x: 1 }, none: {} } }
})

const parts: ResultFiles.DocumentParts = {
  name: "demo_summary",
  parameters,
  results: summaryOf(outcomes, 5),
  resultsPrefix: "results_",
  details: { llm_api: "openai", tokenizer: "llama", seed: 11111 },
  metadata: { region: "eu", note: "a=b" },
  timestamp: 1_700_000_123.9
}

const base = ResultFiles.baseName("meta-llama/Llama-2-7b-chat-hf", 550, 150)
const names = ResultFiles.names("meta-llama/Llama-2-7b-chat-hf", 550, 150)

describe("ResultFiles.baseName", () => {
  it("names files as LLMPerf does", () => {
    assert.strictEqual(base, "meta-llama-Llama-2-7b-chat-hf_550_150")
    assert.strictEqual(ResultFiles.baseName("01-ai/Yi-1.5-34B-Chat", 550, 150), "01-ai-Yi-1-5-34B-Chat_550_150")
  })

  it("keeps letters and digits of any script, `_` and `-`, and nothing else", () => {
    assert.strictEqual(ResultFiles.baseName("Ünï_模型-٣", 1, 2), "Ünï_模型-٣_1_2")
    assert.strictEqual(ResultFiles.baseName("../../etc/passwd\0 --  x", 1, 2), "-etc-passwd-x_1_2")
    assert.strictEqual(ResultFiles.baseName("a:b@c", 550.5, 2), "a-b-c_550-5_2")
    assert.strictEqual(ResultFiles.baseName("cafe\u0301", 1, 2), "cafe-_1_2")
  })

  it("fits into a file name however long the model's name is", () => {
    const long = ResultFiles.baseName("模".repeat(500), 1_000_000, 1_000_000)
    assert.isAtMost(Buffer.byteLength(`${long}_individual_responses.json`), 255)
    assert.isTrue(long.endsWith("模_1000000_1000000"))
  })
})

describe("ResultFiles.document", () => {
  it("has LLMPerf's keys in LLMPerf's order, then ours, the user's and the time", () => {
    const keys = [...ResultFiles.document(parts).keys()]
    assert.deepStrictEqual(keys.slice(0, 23), [
      "version",
      "name",
      "model",
      "mean_input_tokens",
      "stddev_input_tokens",
      "mean_output_tokens",
      "stddev_output_tokens",
      "num_concurrent_requests",
      "additional_sampling_params_temperature",
      "additional_sampling_params_stop",
      "additional_sampling_params_nested_deep_x",
      "results_inter_token_latency_s_quantiles_p25",
      "results_inter_token_latency_s_quantiles_p50",
      "results_inter_token_latency_s_quantiles_p75",
      "results_inter_token_latency_s_quantiles_p90",
      "results_inter_token_latency_s_quantiles_p95",
      "results_inter_token_latency_s_quantiles_p99",
      "results_inter_token_latency_s_mean",
      "results_inter_token_latency_s_min",
      "results_inter_token_latency_s_max",
      "results_inter_token_latency_s_stddev",
      "results_ttft_s_quantiles_p25",
      "results_ttft_s_quantiles_p50"
    ])
    const started = keys.indexOf("results_num_requests_started")
    assert.strictEqual(started, 11 + 6 * 10)
    assert.deepStrictEqual(keys.slice(started, started + 8), [
      "results_num_requests_started",
      "results_error_rate",
      "results_number_errors",
      "results_error_code_frequency",
      "results_mean_output_throughput_token_per_s",
      "results_num_completed_requests",
      "results_num_completed_requests_per_min",
      "results_sum_inter_token_latency_s_quantiles_p25"
    ])
    assert.deepStrictEqual(keys.slice(-6), ["llm_api", "tokenizer", "seed", "region", "note", "timestamp"])
  })

  it("leaves no key for empty sampling parameters, and no prefix where none is asked for", () => {
    const document = ResultFiles.document({
      ...parts,
      parameters: { model: "m", num_concurrent_requests: "scheduled", additional_sampling_params: {} },
      resultsPrefix: ""
    })
    assert.isFalse([...document.keys()].some((key) => key.startsWith("additional")))
    assert.strictEqual(document.get("num_concurrent_requests"), "scheduled")
    assert.strictEqual(document.get("num_requests_started"), 16)
    assert.strictEqual(document.get("wall_time_s"), 5)
  })

  it("lets metadata replace version, name and parameters, never results nor the time", () => {
    const metadata = { version: "mine", model: "other", results_ttft_s_mean: "0", timestamp: "never" }
    const document = ResultFiles.document({ ...parts, metadata })
    assert.deepStrictEqual([...document.keys()].slice(0, 3), ["version", "name", "model"])
    assert.strictEqual(document.get("version"), "mine")
    assert.strictEqual(document.get("model"), "other")
    assert.strictEqual(document.get("results_ttft_s_mean"), parts.results.ttft_s.mean)
    assert.strictEqual(document.get("timestamp"), 1_700_000_123)
    assert.deepStrictEqual(ResultFiles.reservedMetadata(metadata, "results_"), ["results_ttft_s_mean", "timestamp"])
  })

  it("without a prefix, lets metadata replace no result either", () => {
    const flat = [
      ...ResultFiles.document({ ...parts, parameters: {}, details: {}, metadata: {}, resultsPrefix: "" }).keys()
    ]
    const results = flat.filter((key) => !["version", "name", "timestamp"].includes(key))
    assert.isAbove(results.length, 150)
    for (const key of results) assert.deepStrictEqual(ResultFiles.reservedMetadata({ [key]: "0" }, ""), [key])
    const metadata = { region: "eu", ttft_s: { mean: "0" }, num_unsent_requests: "0", ttft_s_mean_of_last_week: "1" }
    assert.deepStrictEqual(ResultFiles.reservedMetadata(metadata, ""), ["ttft_s_mean", "num_unsent_requests"])
    const document = ResultFiles.document({ ...parts, metadata, resultsPrefix: "" })
    assert.strictEqual(document.get("ttft_s_mean"), parts.results.ttft_s.mean)
    assert.strictEqual(document.get("num_unsent_requests"), 0)
    assert.strictEqual(document.get("ttft_s_mean_of_last_week"), "1")
  })

  it("has LLMPerf's keys for a schedule, in its order", () => {
    const document = ResultFiles.document({
      ...parts,
      name: ResultFiles.scheduleNames.summary,
      parameters: ResultFiles.scheduleParameters({
        model: "m",
        launched: 90,
        unsampled: 10,
        scheduleFile: "traffic.csv.gz",
        resultsSubdir: "out/2026-11-24T09-30-00_schedule_run",
        additionalSamplingParams: { top_p: 1 }
      }),
      resultsPrefix: ""
    })
    assert.deepStrictEqual([...document].slice(0, 9), [
      ["version", "2023-08-31"],
      ["name", "summary"],
      ["model", "m"],
      ["num_concurrent_requests", "scheduled"],
      ["num_launched", 90],
      ["num_unsampled", 10],
      ["schedule_file", "traffic.csv.gz"],
      ["results_subdir", "out/2026-11-24T09-30-00_schedule_run"],
      ["additional_sampling_params_top_p", 1]
    ])
    assert.strictEqual(document.get("wall_time_s"), 5)
  })

  it("writes the most frequent code first, also when codes are numbers", () => {
    const results: Summary = { ...parts.results, error_code_frequency: { "429": 1, "503": 5, truncated: 3 } }
    const text = ResultFiles.stringify(ResultFiles.document({ ...parts, results }))
    assert.include(
      text,
      '    "results_error_code_frequency": {\n        "503": 5,\n        "truncated": 3,\n        "429": 1\n    },\n'
    )
  })

  it("is valid JSON with null for what is unknown", () => {
    const text = ResultFiles.stringify(ResultFiles.document({ ...parts, results: summaryOf([], 0) }))
    const parsed = JSON.parse(text)
    assert.isNull(parsed.results_ttft_s_quantiles_p50)
    assert.deepStrictEqual(parsed.results_error_code_frequency, {})
    assert.notMatch(text, /NaN|Infinity|undefined/)
  })
})

const publish = (directory: string) =>
  ResultFiles.publish({
    directory,
    names,
    summary: (given) => ResultFiles.document({ ...parts, ...given }),
    records: Stream.fromIterable(outcomes.map(({ record }) => record))
  })

describe("ResultFiles.publish", () => {
  it.effect("writes the golden files", () =>
    inTemporary((join) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        yield* TestClock.adjust(1_700_000_123_900)
        const published = yield* publish(join())
        assert.strictEqual(published.summary, join(`${base}_summary.json`))
        assert.strictEqual(published.individualResponses, join(`${base}_individual_responses.json`))
        assert.strictEqual(yield* fs.readFileString(published.summary), yield* fixture("summary.json"))
        assert.strictEqual(
          yield* fs.readFileString(published.individualResponses),
          yield* fixture("individual_responses.json")
        )
        assert.lengthOf(yield* fs.readDirectory(join()), 2)
      })
    )
  )

  it.effect("makes the list from records.ndjson, in the order in which requests finished", () =>
    inTemporary((join) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const writer = yield* Ndjson.makeWriter(join("records.ndjson"))
        for (const { record } of outcomes.toReversed()) writer.append(record)
        yield* writer.close
        const published = yield* ResultFiles.publish({
          directory: join(),
          names,
          summary: (given) => ResultFiles.document({ ...parts, ...given }),
          records: writer.stream
        })
        const list: ReadonlyArray<{ readonly request_id: number }> = JSON.parse(
          yield* fs.readFileString(published.individualResponses)
        )
        assert.deepStrictEqual(
          list,
          outcomes.toReversed().map(({ record }) => record)
        )
      }).pipe(Effect.scoped)
    )
  )

  it.effect("lists measured requests only, and takes the names of a schedule run", () =>
    inTemporary((join) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const rows = outcomes.map(({ record }, i) => ({ ...record, sampled: i % 3 === 0 }))
        const published = yield* ResultFiles.publish({
          directory: join(),
          names: ResultFiles.scheduleNames,
          summary: (given) => ResultFiles.document({ ...parts, ...given }),
          records: Stream.fromIterable(rows)
        })
        assert.deepStrictEqual(published, {
          summary: join("summary.json"),
          individualResponses: join("individual_responses.json")
        })
        const list: unknown = JSON.parse(yield* fs.readFileString(published.individualResponses))
        assert.deepStrictEqual(
          list,
          rows.filter(({ sampled }) => sampled)
        )
        assert.strictEqual(JSON.parse(yield* fs.readFileString(published.summary)).name, "summary")
      })
    )
  )

  it.effect("writes an empty list for no records", () =>
    inTemporary((join) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const published = yield* ResultFiles.publish({
          directory: join(),
          names,
          summary: (given) => ResultFiles.document({ ...parts, ...given }),
          records: Stream.empty
        })
        assert.strictEqual(yield* fs.readFileString(published.individualResponses), "[]\n")
      })
    )
  )

  it.effect("has written what came before it takes more", () =>
    inTemporary((join) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const sizes: Array<number> = []
        const chunk = Array.from({ length: 100 }, (_, id) => ({ id }))
        const look = Effect.gen(function* () {
          const [temporary = ""] = yield* fs.readDirectory(join())
          sizes.push(Number((yield* fs.stat(join(temporary))).size))
          return chunk
        })
        yield* ResultFiles.publish({
          directory: join(),
          names,
          summary: (given) => ResultFiles.document({ ...parts, ...given }),
          records: Stream.flatMap(Stream.range(1, 20), () => Stream.fromIterableEffect(look))
        })
        assert.lengthOf(sizes, 20)
        assert.isTrue(sizes.every((size, i) => i === 0 || size > (sizes[i - 1] ?? 0)))
      })
    )
  )

  it.effect("leaves the earlier files and no others when it fails", () =>
    inTemporary((join) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        yield* fs.writeFileString(join(`${base}_individual_responses.json`), "earlier")
        const broken = Stream.concat(Stream.succeed({}), Stream.fail("broken" as const))
        const error = yield* Effect.flip(
          ResultFiles.publish({
            directory: join(),
            names,
            summary: (given) => ResultFiles.document({ ...parts, ...given }),
            records: broken
          })
        )
        assert.strictEqual(error, "broken")
        assert.strictEqual(yield* fs.readFileString(join(`${base}_individual_responses.json`)), "earlier")
        assert.lengthOf(yield* fs.readDirectory(join()), 1)
      })
    )
  )

  it.effect("never shows a part of a file: it is renamed when it is complete", () =>
    inTemporary((join) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const renamed: Array<string> = []
        const error = yield* publish(join()).pipe(
          Effect.provide(
            layerChanged((fs) => ({
              rename: (from, to) =>
                Effect.gen(function* () {
                  assert.isFalse(yield* fs.exists(to))
                  JSON.parse(yield* fs.readFileString(from))
                  renamed.push(to)
                  return yield* systemFailure("EISDIR")
                })
            }))
          ),
          Effect.flip
        )
        assert.deepStrictEqual(renamed, [join(`${base}_individual_responses.json`)])
        assert.include(error.message, "a folder has the name of the file")
        assert.deepStrictEqual(yield* fs.readDirectory(join()), [])
      })
    )
  )
})
