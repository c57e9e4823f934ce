import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import * as Exit from "effect/Exit"
import { execFile } from "node:child_process"
import { createHash } from "node:crypto"
import { fileURLToPath } from "node:url"
import * as OtlpCollector from "../../src/output/OtlpCollector.ts"
import * as OtlpSpans from "../../src/output/OtlpSpans.ts"
import { record } from "../metrics/records.ts"
import { environment } from "../provider/recording.ts"
import * as Collector from "./otlpCollector.ts"
import { outcomes, summaryOf } from "./results.ts"

const runId = "20261124T093000Z-k3f9qd"

const spansTo = Effect.fnUntraced(function* (
  url: string,
  variables: { readonly [name: string]: string } = {},
  options: Partial<OtlpSpans.Options> = {}
) {
  const collector = yield* Effect.provide(OtlpCollector.fromConfig(url, "traces"), environment(variables))
  const spans = yield* OtlpSpans.make({
    collector,
    runId,
    agent: null,
    version: "1.2.3",
    llmApi: "openai",
    model: "org/model",
    endpoint: "chat",
    origin: "http://127.0.0.1:8000",
    samplingParams: { temperature: 0, other: () => "no value of JSON" },
    // Whatever else this machine has to do
    finishSeconds: 25,
    ...options
  })
  return { collector, ...spans }
})

const run: OtlpSpans.Run = {
  startEpochSeconds: 1_700_000_000,
  wallSeconds: 5,
  summary: summaryOf(outcomes, 5)
}

const secondsOf = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const from = performance.now()
    return Effect.map(effect, (value) => [value, (performance.now() - from) / 1_000] as const)
  })

const all = (count: number) => Array.from({ length: count }, (_, i) => record({ request_id: i + 1 }))

const requestIds = (spans: ReadonlyArray<Collector.Span>): ReadonlyArray<number> =>
  spans
    .map(({ attributes }) => Collector.valuesOf(attributes)["llmperf.request_id"])
    .filter((id) => typeof id === "number")
    .toSorted((a, b) => a - b)

const oneTo = (count: number): ReadonlyArray<number> => Array.from({ length: count }, (_, i) => i + 1)

describe("OtlpSpans", () => {
  // On the clock of a test, which stands still: the thread has its own
  it.effect("has every request at the collector once, and the run", () =>
    Effect.gen(function* () {
      const collector = yield* Collector.start()
      const { add, finish } = yield* spansTo(collector.url)
      for (const { record } of outcomes) add(record)
      for (const one of all(800)) add({ ...one, request_id: one.request_id + 16 })
      const report = yield* finish(run)
      assert.deepStrictEqual(collector.problems, [])
      assert.deepStrictEqual(report, { sent: 816, dropped: 0, failed: 0, lastProblem: null })
      const spans = collector.spans()
      assert.deepStrictEqual(requestIds(spans), oneTo(816))
      assert.strictEqual(new Set(spans.map(({ traceId }) => traceId)).size, 817)
      const ofRun = spans.filter(({ kind }) => kind === 1)
      assert.deepStrictEqual(
        ofRun.map(({ name }) => name),
        ["llmperf run org/model"]
      )
      const { spanId = "", traceId = "" } = ofRun[0] ?? {}
      for (const { kind, links } of spans) if (kind === 3) assert.deepStrictEqual(links, [{ spanId, traceId }])
      const statuses = spans.map(({ status }) => status?.code ?? 0)
      assert.lengthOf(
        statuses.filter((code) => code === 2),
        4
      )
      const digest = createHash("sha256").update(`${runId}-13`).digest("hex")
      const refused = spans.find(({ traceId }) => traceId === digest.slice(0, 32))
      assert.deepStrictEqual(refused?.status, { code: 2, message: "HTTP 429: slow down" })
      assert.deepStrictEqual(collector.received[0]?.resource, {
        "service.name": "llmperf",
        "service.version": "1.2.3",
        "service.instance.id": runId
      })
      assert.deepStrictEqual(collector.received[0]?.scope, { name: "llmperf", version: "1.2.3" })
    })
  )

  it.live("sends while the run goes on", () =>
    Effect.gen(function* () {
      const collector = yield* Collector.start()
      const { add } = yield* spansTo(collector.url)
      add(record())
      for (let turn = 0; turn < 400 && collector.taken.length === 0; turn++) yield* Effect.sleep(50)
      assert.deepStrictEqual(requestIds(collector.spans()), [1])
    })
  )

  it.live.each([
    ["http/json", "none", "application/json"],
    ["http/json", "gzip", "application/json"],
    ["http/protobuf", "none", "application/x-protobuf"],
    ["http/protobuf", "gzip", "application/x-protobuf"]
  ] as const)("speaks %s, compressed with %s", ([protocol, compression, type]) =>
    Effect.gen(function* () {
      const collector = yield* Collector.start()
      const { add, finish } = yield* spansTo(collector.url, {
        OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
        OTEL_EXPORTER_OTLP_COMPRESSION: compression,
        OTEL_EXPORTER_OTLP_HEADERS: "x-api-key=a%2Cb",
        OTEL_SERVICE_NAME: "nightly"
      })
      for (const one of all(40)) add(one)
      const report = yield* finish(run)
      assert.deepStrictEqual(collector.problems, [])
      assert.deepStrictEqual(report, { sent: 40, dropped: 0, failed: 0, lastProblem: null })
      for (const { headers, resource } of collector.received) {
        assert.deepInclude(headers, { "content-type": type, "x-api-key": "a,b" })
        assert.strictEqual(resource["service.name"], "nightly")
      }
      const largest = collector.received.toSorted((a, b) => b.bytes - a.bytes)[0]
      assert.strictEqual(largest?.headers["content-encoding"], compression === "gzip" ? "gzip" : undefined)
      assert.deepStrictEqual(requestIds(collector.spans()), oneTo(40))
    })
  )

  it.live("reads of spans that were rejected in either encoding", () =>
    Effect.gen(function* () {
      for (const protocol of ["http/json", "http/protobuf"]) {
        const collector = yield* Collector.start({ answers: () => ({ rejectedSpans: 2 }) })
        const { add, finish } = yield* spansTo(collector.url, { OTEL_EXPORTER_OTLP_PROTOCOL: protocol })
        for (const one of all(6)) add(one)
        assert.deepStrictEqual(yield* finish(null), {
          sent: 4,
          dropped: 0,
          failed: 2,
          lastProblem: "2 spans were rejected: too many of them"
        })
      }
    })
  )

  it.live("tells of a collector that refuses, and of what it says", () =>
    Effect.gen(function* () {
      const answers = () => ({
        status: 401,
        body: '{"message":"no such key"}',
        headers: { "content-type": "application/json" }
      })
      const fake = yield* Collector.start({ answers })
      const { add, collector, finish } = yield* spansTo(fake.url)
      for (const one of all(3)) add(one)
      const report = yield* finish(run)
      assert.deepStrictEqual(report, { sent: 0, dropped: 0, failed: 3, lastProblem: "HTTP 401: no such key" })
      assert.strictEqual(
        OtlpSpans.remark(collector, report),
        `3 of 3 spans did not reach the collector at ${fake.url}/v1/traces (HTTP 401: no such key). The results of the run are not affected.`
      )
    })
  )

  it.live("follows no redirect, which could carry a key elsewhere", () =>
    Effect.gen(function* () {
      const elsewhere = yield* Collector.start()
      const collector = yield* Collector.start({
        answers: () => ({ status: 307, headers: { location: `${elsewhere.url}/v1/traces` }, body: "" })
      })
      const { add, finish } = yield* spansTo(collector.url, { OTEL_EXPORTER_OTLP_HEADERS: "x-api-key=secret" })
      add(record())
      assert.deepInclude(yield* finish(null), { sent: 0, failed: 1, lastProblem: "HTTP 307" })
      assert.lengthOf(elsewhere.received, 0)
    })
  )

  it.live("comes through a collector that is busy for a while", () =>
    Effect.gen(function* () {
      const collector = yield* Collector.start({
        answers: ({ attempt }) => (attempt <= 2 ? { status: 503, body: "starting" } : undefined)
      })
      const { add, finish } = yield* spansTo(collector.url)
      for (const one of all(300)) add(one)
      assert.deepStrictEqual(yield* finish(run), {
        sent: 300,
        dropped: 0,
        failed: 0,
        lastProblem: "HTTP 503: starting"
      })
      assert.deepStrictEqual(requestIds(collector.spans()), oneTo(300))
    })
  )

  it.live("ends in time when the collector never answers", () =>
    Effect.gen(function* () {
      const collector = yield* Collector.start({ answers: () => ({ never: true }) })
      const { add, finish } = yield* spansTo(collector.url, {}, { finishSeconds: undefined })
      for (const one of all(10)) add(one)
      const [report, seconds] = yield* secondsOf(finish(run))
      assert.deepStrictEqual(report, { sent: 0, dropped: 10, failed: 0, lastProblem: null })
      assert.isAtLeast(seconds, 4.5)
      assert.isBelow(seconds, 15)
    })
  )

  it.live("ends in time when there is no collector, and says so", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const gone = yield* Scope.provide(Collector.start(), scope)
      yield* Scope.close(scope, Exit.void)
      const { add, collector, finish } = yield* spansTo(gone.url, {}, { finishSeconds: 1 })
      for (const one of all(10)) add(one)
      // The first batch goes after a second
      yield* Effect.sleep(3_000)
      const [report, seconds] = yield* secondsOf(finish(run))
      assert.isBelow(seconds, 10)
      assert.deepStrictEqual({ ...report, lastProblem: "" }, { sent: 0, dropped: 10, failed: 0, lastProblem: "" })
      assert.match(report.lastProblem ?? "", /^connect ECONNREFUSED 127\.0\.0\.1:\d+$/)
      assert.include(OtlpSpans.remark(collector, report) ?? "", "10 of 10 spans did not reach the collector")
    })
  )

  it.live("drops what finds no place, and counts it", () =>
    Effect.gen(function* () {
      const collector = yield* Collector.start()
      const { add, finish } = yield* spansTo(collector.url, {}, { capacity: 600 })
      // In one turn, in which nothing can have been sent
      for (const one of all(1_000)) add(one)
      assert.deepStrictEqual(yield* finish(null), { sent: 600, dropped: 400, failed: 0, lastProblem: null })
      assert.deepStrictEqual(requestIds(collector.spans()), oneTo(600))
    })
  )

  it.live("goes on without its thread, and says why", () =>
    Effect.gen(function* () {
      const { collector } = yield* spansTo("http://127.0.0.1:1")
      const [spans, seconds] = yield* secondsOf(
        spansTo("http://127.0.0.1:1", {}, { collector: { ...collector, timeoutSeconds: NaN } })
      )
      assert.isBelow(seconds, 9)
      spans.add(record())
      const report = yield* spans.finish(run)
      assert.deepInclude(report, { sent: 0, dropped: 1, failed: 0 })
      assert.match(report.lastProblem ?? "", /^the thread that sends spans has ended: .*Expected/)
    })
  )

  it.live("takes nothing after its end", () =>
    Effect.gen(function* () {
      const collector = yield* Collector.start()
      const { add, finish } = yield* spansTo(collector.url)
      add(record())
      assert.deepInclude(yield* finish(null), { sent: 1, dropped: 0 })
      add(record({ request_id: 2 }))
      assert.deepInclude(yield* finish(run), { sent: 1, dropped: 1 })
      assert.lengthOf(collector.spans(), 1)
    })
  )

  it.live("sends what there is when the run is given up", () =>
    Effect.gen(function* () {
      const collector = yield* Collector.start()
      const scope = yield* Scope.make()
      const { add } = yield* Scope.provide(spansTo(collector.url), scope)
      for (const one of all(20)) add(one)
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(requestIds(collector.spans()), oneTo(20))
    })
  )

  it.live("does not keep the process alive, nor end it, whatever becomes of the collector", () =>
    Effect.gen(function* () {
      const moduleUrl = (path: string): string => new URL(`../../${path}`, import.meta.url).href
      const program = `
        import * as Effect from "effect/Effect"
        import * as Scope from "effect/Scope"
        import * as OtlpCollector from "${moduleUrl("src/output/OtlpCollector.ts")}"
        import * as OtlpSpans from "${moduleUrl("src/output/OtlpSpans.ts")}"
        import { record } from "${moduleUrl("test/metrics/records.ts")}"
        const collector = await Effect.runPromise(OtlpCollector.fromConfig("http://127.0.0.1:1", "traces"))
        const scope = Effect.runSync(Scope.make())
        const spans = await Effect.runPromise(Scope.provide(OtlpSpans.make({
          collector, runId: "r", agent: null, version: "0", llmApi: "openai", model: "m", endpoint: "chat", origin: null,
          samplingParams: {}
        }), scope))
        for (let id = 1; id <= 300; id++) spans.add(record({ request_id: id }))
        process.stdout.write("here")
      `
      const output = yield* Effect.callback<string>((resume) => {
        execFile(
          process.execPath,
          ["--input-type=module-typescript", "--eval", program],
          { cwd: fileURLToPath(new URL("../..", import.meta.url)), timeout: 20_000 },
          (error, stdout, stderr) => resume(Effect.succeed(`${error?.message ?? ""}${stdout}${stderr}`))
        )
      })
      assert.strictEqual(output, "here")
    })
  )
})

describe("the reports of several senders", () => {
  const report = { sent: 1, dropped: 2, failed: 3, lastProblem: null }

  it("are summed up", () => {
    assert.deepStrictEqual(OtlpSpans.merge([report, { ...report, lastProblem: "a" }, report]), {
      sent: 3,
      dropped: 6,
      failed: 9,
      lastProblem: "a"
    })
    assert.deepStrictEqual(OtlpSpans.merge([]), { sent: 0, dropped: 0, failed: 0, lastProblem: null })
  })

  it.effect("are said in the summary, and to the user only if spans were lost", () =>
    Effect.gen(function* () {
      const collector = yield* Effect.provide(
        OtlpCollector.fromConfig("http://c:4318/?key=secret", "traces"),
        environment({})
      )
      assert.deepStrictEqual(OtlpSpans.fields(collector, report), {
        otlp: { url: "http://c:4318/v1/traces", sent_spans: 1, dropped_spans: 2, failed_spans: 3, last_problem: null }
      })
      assert.isNull(OtlpSpans.remark(collector, { ...report, dropped: 0, failed: 0, lastProblem: "HTTP 503" }))
      assert.strictEqual(
        OtlpSpans.remark(collector, report),
        "5 of 6 spans did not reach the collector at http://c:4318/v1/traces. The results of the run are not affected."
      )
    })
  )
})
