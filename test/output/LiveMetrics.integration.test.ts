import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import * as TestClock from "effect/testing/TestClock"
import { type Reading } from "../../src/metrics/RunMetrics.ts"
import * as LiveMetrics from "../../src/output/LiveMetrics.ts"
import { type OtlpCollector } from "../../src/output/OtlpCollector.ts"
import { parse } from "./expositionParser.ts"
import { nothing, reading } from "./liveReadings.ts"
import * as Collector from "./otlpMetricsCollector.ts"

const options: LiveMetrics.Options = {
  runId: "run1",
  model: "demo",
  version: "1.2.3",
  llmApi: "openai",
  endpoint: "chat",
  origin: "http://127.0.0.1:8000",
  planned: 100,
  info: { loop: "open" },
  server: null,
  collector: null
}

const server = { host: "127.0.0.1", port: 0 }

const collectorAt = (url: string, more: Partial<OtlpCollector> = {}): OtlpCollector => ({
  url: `${url}/v1/metrics`,
  address: `${url}/v1/metrics`,
  headers: Redacted.make({ authorization: "Bearer secret" }),
  protocol: "http/json",
  gzip: false,
  timeoutSeconds: 10,
  resource: {},
  ...more
})

const scrape = (url: string | null) =>
  Effect.map(
    Effect.promise(() => fetch(url ?? "").then((response) => response.text())),
    (text) => parse(text, "prometheus")
  )

/** Until the thread, which gets its messages when it gets to them, serves what was published. */
const served = (url: string | null, started: number) =>
  scrape(url).pipe(
    Effect.repeat({ until: ({ sample }) => sample("llmperf_requests_started_total") === started }),
    Effect.timeout(10_000)
  )

const startedOf = (push: Collector.Push | undefined): number | undefined =>
  push?.metrics.get("llmperf.requests_started")?.points[0]?.value

describe("LiveMetrics, on a thread", () => {
  it.live("serves what was published last, and the end until the scope closes", () =>
    Effect.gen(function* () {
      const url = yield* Effect.scoped(
        Effect.gen(function* () {
          const self = yield* LiveMetrics.start({ ...options, server })
          const { sample } = yield* scrape(self.url)
          assert.strictEqual(sample("llmperf_requests_started_total"), 0)
          assert.strictEqual(sample("llmperf_run_info", { llm_api: "openai", loop: "open", version: "1.2.3" }), 1)
          self.publish(reading())
          yield* served(self.url, 4)
          const report = yield* self.finish({ ...reading(), phase: "over", started: 9 })
          assert.deepStrictEqual(report, { isComplete: true, pushed: 0, failed: 0, lastProblem: null })
          assert.isNull(LiveMetrics.remark(options, report))
          const last = yield* served(self.url, 9)
          assert.strictEqual(last.sample("llmperf_run_phase", { llmperf_run_phase: "over" }), 1)
          return self.url
        })
      )
      assert.isTrue(
        yield* Effect.promise(() =>
          fetch(url ?? "").then(
            () => false,
            () => true
          )
        )
      )
    })
  )

  it.live("says before anything else that a port is taken", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { url } = yield* LiveMetrics.start({ ...options, server })
        const port = Number(new URL(url ?? "").port)
        const error = yield* Effect.flip(LiveMetrics.start({ ...options, server: { ...server, port } }))
        assert.strictEqual(error._tag, "LiveMetricsError")
        assert.include(error.message, `port ${port} of 127.0.0.1: it is in use. Choose another with --prometheus-port`)
      })
    )
  )

  it.live.each(["http/json", "http/protobuf"] as const)("pushes the end to a collector (%s)", (protocol) =>
    Effect.scoped(
      Effect.gen(function* () {
        const collector = yield* Collector.start()
        const at = collectorAt(collector.url, { protocol, gzip: protocol === "http/protobuf", resource: { team: "a" } })
        const self = yield* LiveMetrics.start({ ...options, collector: at })
        assert.isNull(self.url)
        self.publish(nothing())
        const report = yield* self.finish(reading())
        assert.deepStrictEqual(collector.problems, [])
        assert.deepStrictEqual(report, { isComplete: true, pushed: 1, failed: 0, lastProblem: null })
        const [push, ...others] = collector.taken
        assert.isEmpty(others)
        assert.strictEqual(push?.headers.authorization, "Bearer secret")
        assert.strictEqual(push?.resource["team"], "a")
        assert.strictEqual(startedOf(push), 4)
        assert.strictEqual(push?.metrics.get("gen_ai.client.operation.duration")?.points[0]?.sum, 5.5)
        // Finished is finished
        assert.deepStrictEqual(yield* self.finish(nothing()), report)
        assert.strictEqual(collector.attempts(), 1)
      })
    )
  )

  it.live("speaks the other encoding to a collector that does not know the one", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const collector = yield* Collector.start((_, headers) =>
          headers["content-type"] === "application/json" ? { status: 415 } : undefined
        )
        const self = yield* LiveMetrics.start({ ...options, collector: collectorAt(collector.url) })
        assert.isTrue((yield* self.finish(reading())).isComplete)
        assert.strictEqual(startedOf(collector.taken[0]), 4)
      })
    )
  )

  it.live("tries the end again with a collector that is busy", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const collector = yield* Collector.start((attempt) => (attempt === 1 ? { status: 503 } : undefined))
        const self = yield* LiveMetrics.start({ ...options, collector: collectorAt(collector.url) })
        const report = yield* self.finish(reading())
        assert.deepStrictEqual(report, { isComplete: true, pushed: 1, failed: 1, lastProblem: "HTTP 503" })
        assert.lengthOf(collector.taken, 1)
      })
    )
  )

  it.live("knows that not all of the end was taken", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const collector = yield* Collector.start(() => ({ rejected: 3 }))
        const at = collectorAt(collector.url, { protocol: "http/protobuf" })
        const self = yield* LiveMetrics.start({ ...options, collector: at })
        const report = yield* self.finish(reading())
        assert.deepStrictEqual(collector.problems, [])
        assert.isFalse(report.isComplete)
        assert.match(report.lastProblem ?? "", /^3 .* were rejected: too many$/)
      })
    )
  )

  it.live("lives with a collector that is not there", () =>
    Effect.scoped(
      Effect.gen(function* () {
        // Nobody listens on a port that was just given up
        const { url } = yield* Effect.scoped(Collector.start())
        const at = collectorAt(url)
        const self = yield* LiveMetrics.start({ ...options, server, collector: at })
        const report = yield* self.finish(reading())
        assert.isFalse(report.isComplete)
        assert.strictEqual(report.pushed, 0)
        assert.include(report.lastProblem ?? "", "ECONNREFUSED")
        const remark = LiveMetrics.remark({ collector: at }, report) ?? ""
        assert.include(remark, `${url}/v1/metrics`)
        assert.include(remark, "not affected")
        // Scrapes go on
        yield* served(self.url, 4)
      })
    )
  )

  it.live("does not wait for ever for one that says nothing", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const collector = yield* Collector.start(() => ({ never: true }))
        const self = yield* LiveMetrics.start({ ...options, collector: collectorAt(collector.url) })
        // Far more than the five seconds that it may take, far less than for ever
        const report = yield* Effect.timeout(self.finish(reading()), 20_000)
        assert.isFalse(report.isComplete)
        assert.include(report.lastProblem ?? "", "no answer within")
      })
    )
  )

  it.live("pushes what is known of a run that is given up", () =>
    Effect.gen(function* () {
      const collector = yield* Collector.start()
      yield* Effect.scoped(
        Effect.gen(function* () {
          const self = yield* LiveMetrics.start({ ...options, collector: collectorAt(collector.url) })
          self.publish(reading())
        })
      )
      assert.deepStrictEqual(collector.problems, [])
      assert.strictEqual(startedOf(collector.taken[0]), 4)
    }).pipe(Effect.scoped)
  )

  it.effect("publishes once a second until it is interrupted", () =>
    Effect.gen(function* () {
      const published: Array<Reading> = []
      const moments: Array<number> = []
      const begun = Deferred.makeUnsafe<void>()
      const fiber = yield* Effect.forkChild(
        LiveMetrics.feed(
          {
            publish: (one) => {
              published.push(one)
              Deferred.doneUnsafe(begun, Effect.void)
            }
          },
          (nowNanos) => {
            moments.push(nowNanos)
            return nothing()
          }
        )
      )
      yield* Deferred.await(begun)
      yield* TestClock.adjust("2500 millis")
      yield* Fiber.interrupt(fiber)
      yield* TestClock.adjust("10 seconds")
      assert.lengthOf(published, 3)
      assert.deepStrictEqual(
        moments.map((moment) => moment - (moments[0] ?? 0)),
        [0, 1e9, 2e9]
      )
    })
  )
})
