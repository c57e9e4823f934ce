import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import { bounds } from "../../src/metrics/RunMetrics.ts"
import * as LiveMetrics from "../../src/output/internal/liveMetrics.ts"
import * as OtlpMetrics from "../../src/output/internal/otlpMetrics.ts"
import { parse } from "./expositionParser.ts"
import { reading } from "./liveReadings.ts"

const subject: OtlpMetrics.Subject = {
  runId: "run1",
  model: "demo",
  version: "0",
  planned: 1,
  info: {},
  provider: "openai",
  operation: "chat",
  origin: null,
  resource: {}
}

const docs = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  return yield* fs.readFileString(path.join(import.meta.dirname, "..", "..", "docs", "live-metrics.md"))
}).pipe(Effect.provide(NodeServices.layer))

/** The text between two headings. */
const section = (text: string, from: string, to: string): string => text.slice(text.indexOf(from), text.indexOf(to))

const written = parse(LiveMetrics.text(subject, reading(), "prometheus"), "prometheus").families

describe("docs/live-metrics.md", () => {
  it.effect("names every metric and its type", () =>
    Effect.gen(function* () {
      const rows = section(yield* docs, "## The metrics", "### Buckets").matchAll(
        /^\| (`llmperf_.*?) +\| (\w+( set)?) +\|/gm
      )
      const named = [...rows].flatMap(([, names = "", type = ""]) =>
        [...names.matchAll(/`(\w+)`/g)].map(([, name]) => [name, type] as const)
      )
      const types = new Map([
        ["llmperf_run_info", "info"],
        ["llmperf_run_phase", "state set"],
        ["llmperf_verdict", "state set"]
      ])
      assert.deepStrictEqual(
        named,
        [...written.values()].map(({ name, type }) => [name, types.get(name) ?? type])
      )
    })
  )

  it.effect("has the bounds that there are, those that are suggested in bold", () =>
    Effect.gen(function* () {
      const rows = section(yield* docs, "### Buckets", "## Prometheus").matchAll(/^\| (`llmperf_.*?) +\| (.*?) +\|$/gm)
      const shown = (ours: ReadonlyArray<number>, suggested: ReadonlyArray<number>): string =>
        ours.map((bound) => (suggested.includes(bound) ? `**${bound}**` : String(bound))).join(", ")
      assert.deepStrictEqual(
        [...rows].map(([, names, values]) => [names, values]),
        [
          ["`llmperf_ttft_seconds`", shown(bounds.ttft, bounds.genAi.timeToFirstToken)],
          ["`llmperf_inter_token_latency_seconds`", shown(bounds.interTokenLatency, bounds.genAi.timePerOutputToken)],
          ["`llmperf_end_to_end_latency_seconds`", shown(bounds.endToEndLatency, bounds.genAi.operationDuration)],
          ["`llmperf_dispatch_lag_seconds`", shown(bounds.dispatchLag, [])],
          [
            "`llmperf_request_input_tokens`, `llmperf_request_output_tokens`",
            shown(bounds.tokens, bounds.genAi.tokenUsage)
          ]
        ]
      )
    })
  )

  it.effect("shows a sample that a run can have given", () =>
    Effect.gen(function* () {
      const [, sample = ""] = /```text\n(.*?)```/s.exec(yield* docs) ?? []
      const { families } = parse(sample, "prometheus")
      assert.isAbove(families.size, 20)
      for (const { help, name, type } of families.values()) {
        assert.deepStrictEqual([name, written.get(name)?.type, written.get(name)?.help], [name, type, help])
      }
    })
  )

  it.effect("asks Prometheus for nothing that there is not", () =>
    Effect.gen(function* () {
      const [, queries = ""] = /```promql\n(.*?)```/s.exec(yield* docs) ?? []
      const samples = new Set([...written.values()].flatMap((family) => family.samples.map(({ name }) => name)))
      const asked = [...queries.matchAll(/llmperf_\w+/g)].map(([name]) => name)
      assert.isAbove(asked.length, 10)
      assert.deepStrictEqual(
        asked.filter((name) => !samples.has(name)),
        []
      )
    })
  )

  it.effect("names every metric of the conventions and its unit", () =>
    Effect.gen(function* () {
      const rows = (yield* docs).matchAll(/^\| `(gen_ai\.[\w.]+)` +\| `(.+?)`/gm)
      const { resourceMetrics } = OtlpMetrics.message(subject, 1n)(reading(), 2n)
      const sent = (resourceMetrics[0]?.scopeMetrics[0]?.metrics ?? []).filter(({ name }) => name.startsWith("gen_ai."))
      assert.deepStrictEqual(
        [...rows].map(([, name, unit]) => [name, unit]),
        sent.map(({ name, unit }) => [name, unit])
      )
    })
  )
})
