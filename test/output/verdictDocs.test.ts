import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as HealthSummary from "../../src/metrics/HealthSummary.ts"
import * as Verdict from "../../src/metrics/Verdict.ts"
import * as ResultFiles from "../../src/output/ResultFiles.ts"
import * as VerdictText from "../../src/output/VerdictText.ts"
import { evidence } from "../metrics/health.ts"

const page = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  return yield* fs.readFileString(path.join(import.meta.dirname, "..", "..", "docs", "verdict.md"))
}).pipe(Effect.provide(NodeServices.layer))

const shown = (name: Verdict.LimitName, value: number | null): string => {
  if (value === null) return "none"
  if (Verdict.unitOf(name) === "share") return `${Math.round(value * 100)} %`
  return value < 1 ? `${value * 1_000} ms` : `${value} s`
}

describe("docs/verdict.md", () => {
  it.effect("gives every limit with its two values, in order", () =>
    Effect.gen(function* () {
      const rows = (yield* page)
        .split("\n")
        .map((line) => line.split("|").map((cell) => cell.trim()))
        .filter((cells) => cells.length === 7 && /^`[a-z-]+`$/.test(cells[1] ?? ""))
        .map(([, name, degraded, invalid]) => [name, degraded, invalid])
      const limits = Verdict.limitNames.map((name) => {
        const { degraded, invalid } = Verdict.defaultLimits[name]
        return [`\`${name.replaceAll("_", "-")}\``, shown(name, degraded), shown(name, invalid)]
      })
      assert.deepStrictEqual(rows, limits)
    })
  )

  it.effect("names every number of the summary", () =>
    Effect.gen(function* () {
      const text = yield* page
      const { dispatch, health, summary } = evidence()
      const verdict = Verdict.judge(evidence())
      const document = ResultFiles.document({
        name: "n",
        parameters: {},
        results: summary,
        resultsPrefix: "results_",
        details: VerdictText.fields({ verdict, health: HealthSummary.make(health, dispatch) }),
        metadata: {},
        timestamp: 0
      })
      for (const key of document.keys()) {
        if (!key.startsWith("health_")) continue
        // `health_a_mean`, `_max`: the second is told by its end
        const beginning = key.replace(/_(p\d+|mean|max|count)$/, "")
        assert.isTrue(text.includes(`\`${key}\``) || text.includes(`\`${beginning}_`), key)
      }
    })
  )
})
