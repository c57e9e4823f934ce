import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import * as OtlpMetrics from "../../../src/output/internal/otlpMetrics.ts"
import * as RunMetrics from "../../../src/metrics/RunMetrics.ts"
import { anyReading, nothing, reading } from "../liveReadings.ts"
import * as Collector from "../otlpMetricsCollector.ts"

const subject: OtlpMetrics.Subject = {
  runId: "run1",
  model: "org/demo",
  version: "1.2.3",
  planned: 100,
  info: { llm_api: "openai" },
  provider: "openai",
  operation: "chat",
  origin: "https://api.example.com",
  resource: { "service.name": "mine", "service.instance.id": "not this", team: "a" }
}

const START = 1_795_532_221_210_070_848n
const NOW = START + 4_000_000_000n

/** As it is when it has been sent; counts are text there. */
const pushOf = (of: RunMetrics.Reading, about: OtlpMetrics.Subject = subject): Collector.Push => {
  const message: unknown = JSON.parse(
    JSON.stringify(OtlpMetrics.message(about, START)(of, NOW), (key, value: unknown) =>
      key === "count" ? String(value) : key === "bucketCounts" && Array.isArray(value) ? value.map(String) : value
    )
  )
  return Collector.pushOf(message)
}

const genAi = {
  "gen_ai.operation.name": "chat",
  "gen_ai.provider.name": "openai",
  "gen_ai.request.model": "org/demo",
  "server.address": "api.example.com",
  "server.port": 443
}

const only = (push: Collector.Push, name: string): Collector.Point => {
  const [point, ...others] = push.metrics.get(name)?.points ?? []
  if (point === undefined || others.length > 0) throw new Error(`${others.length} more points of ${name}`)
  return point
}

/** How many values are in the bucket that ends at `bound`. */
const upTo = ({ bounds = [], counts = [] }: Collector.Point, bound: number): number =>
  counts[bounds.indexOf(bound)] ?? NaN

describe("metrics for a collector", () => {
  it("says who measures", () => {
    const { resource, scope } = pushOf(reading())
    assert.deepStrictEqual(resource, {
      "service.name": "mine",
      "service.version": "1.2.3",
      team: "a",
      "service.instance.id": "run1"
    })
    assert.deepStrictEqual(scope, { name: "llmperf", version: "1.2.3" })
  })

  it("has what the conventions for generative AI have, in their units and buckets", () => {
    const push = pushOf(reading())
    const ofGenAi = [...push.metrics].filter(([name]) => name.startsWith("gen_ai."))
    assert.deepStrictEqual(
      ofGenAi.map(([name, { kind, points, unit }]) => [name, kind, unit, points[0]?.bounds]),
      [
        ["gen_ai.client.operation.duration", "histogram", "s", [...RunMetrics.bounds.genAi.operationDuration]],
        [
          "gen_ai.client.operation.time_to_first_chunk",
          "histogram",
          "s",
          [...RunMetrics.bounds.genAi.operationDuration]
        ],
        ["gen_ai.server.time_to_first_token", "histogram", "s", [...RunMetrics.bounds.genAi.timeToFirstToken]],
        ["gen_ai.server.time_per_output_token", "histogram", "s", [...RunMetrics.bounds.genAi.timePerOutputToken]],
        ["gen_ai.client.token.usage", "histogram", "{token}", [...RunMetrics.bounds.genAi.tokenUsage]]
      ]
    )
    const ttft = only(push, "gen_ai.server.time_to_first_token")
    assert.deepStrictEqual(ttft.attributes, genAi)
    assert.deepStrictEqual([ttft.sum, ttft.min, ttft.max], [3.25, 0.25, 3])
    assert.deepStrictEqual([upTo(ttft, 0.25), upTo(ttft, 5)], [1, 1])
    const first = only(push, "gen_ai.client.operation.time_to_first_chunk")
    assert.deepStrictEqual([upTo(first, 0.32), upTo(first, 5.12)], [1, 1])
    const [input, output] = push.metrics.get("gen_ai.client.token.usage")?.points ?? []
    assert.deepStrictEqual(input?.attributes, { ...genAi, "gen_ai.token.type": "input" })
    assert.deepStrictEqual(output?.attributes, { ...genAi, "gen_ai.token.type": "output" })
    assert.deepStrictEqual([input?.sum, output?.sum], [100, 26])
  })

  it("has our own, with the labels of the text", () => {
    const push = pushOf(reading())
    const valueOf = (name: string) => only(push, name).value
    const kindOf = (name: string) => [push.metrics.get(name)?.kind, push.metrics.get(name)?.unit]
    assert.deepStrictEqual(kindOf("llmperf.requests_started"), ["sum", ""])
    assert.deepStrictEqual(kindOf("llmperf.requests_in_flight"), ["gauge", ""])
    assert.deepStrictEqual(kindOf("llmperf.output_tokens"), ["sum", "{token}"])
    assert.deepStrictEqual(kindOf("llmperf.dispatch_lag"), ["histogram", "s"])
    assert.strictEqual(valueOf("llmperf.requests_started"), 4)
    assert.strictEqual(valueOf("llmperf.requests_in_flight"), 1)
    assert.strictEqual(valueOf("llmperf.output_tokens"), 26)
    assert.strictEqual(valueOf("llmperf.verdict_grade"), 1)
    assert.strictEqual(valueOf("llmperf.wall_time"), 4)
    assert.deepStrictEqual(only(push, "llmperf.errors"), {
      attributes: { model: "org/demo", run_id: "run1", reason: "RateLimited", code: "429" },
      startNanos: START,
      nanos: NOW,
      value: 1
    })
    assert.strictEqual(upTo(only(push, "llmperf.dispatch_lag"), 0.025), 1)
    const recent = push.metrics.get("llmperf.ttft_recent")?.points ?? []
    assert.deepStrictEqual(
      recent.map(({ attributes }) => attributes["quantile"]),
      ["0.5", "0.99"]
    )
  })

  it("says nothing of what there is not yet", () => {
    const push = pushOf(nothing(), { ...subject, origin: null })
    assert.deepStrictEqual(
      [...push.metrics.keys()].filter((name) => name.startsWith("gen_ai.")),
      []
    )
    assert.strictEqual(only(push, "llmperf.requests_started").value, 0)
    assert.isFalse(push.metrics.has("llmperf.ttft"))
  })

  it.each([
    ["http://127.0.0.1:8000/v1", { "server.address": "127.0.0.1", "server.port": 8000 }],
    ["http://[::1]", { "server.address": "::1", "server.port": 80 }],
    [null, {}]
  ])("names the server at %s", (origin, named) => {
    const { attributes } = only(pushOf(reading(), { ...subject, origin }), "gen_ai.client.operation.duration")
    const { "server.address": _address, "server.port": _port, ...others } = genAi
    assert.deepStrictEqual(attributes, { ...others, ...named })
  })

  it("is always well formed, whatever a server sends", () => {
    fc.assert(
      fc.property(anyReading, (any) => {
        const { metrics } = pushOf(any)
        assert.strictEqual(metrics.get("llmperf.errors")?.points.length ?? 0, any.errors.length)
      })
    )
  })
})
