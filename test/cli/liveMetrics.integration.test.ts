import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { createServer } from "node:http"
import type * as MetricsCollector from "../output/otlpMetricsCollector.ts"
import * as OtlpBoth from "../output/otlpBoth.ts"
import * as SpansCollector from "../output/otlpCollector.ts"
import { llmperf } from "./invocation.ts"
import * as OpenAiServer from "./openAiServer.ts"

const small = [
  "load-test",
  "--model=org/demo",
  "--mean-input-tokens=60",
  "--stddev-input-tokens=5",
  "--mean-output-tokens=5",
  "--stddev-output-tokens=1",
  "--num-concurrent-requests=3",
  "--max-num-completed-requests=12",
  "--run-id=night"
]

const run = (
  server: OpenAiServer.OpenAiServer,
  args: ReadonlyArray<string>,
  env: { readonly [name: string]: string } = {}
) => llmperf([...small, ...args], { env: { OPENAI_API_BASE: server.url, OPENAI_API_KEY: "secret", ...env } })

const valueOf = (push: MetricsCollector.Push | undefined, name: string): number | undefined =>
  push?.metrics.get(name)?.points[0]?.value

const taken = Effect.acquireRelease(
  Effect.callback<{ readonly port: number; readonly close: () => void }>((resume) => {
    const server = createServer()
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      const port = typeof address === "object" && address !== null ? address.port : 0
      resume(Effect.succeed({ port, close: () => server.close() }))
    })
  }),
  ({ close }) => Effect.sync(close)
)

describe.concurrent("llmperf load-test, watched while it goes", { timeout: 90_000 }, () => {
  it.live.each(["1", "2"])("tells a collector of all requests (%s threads)", (workers) =>
    Effect.gen(function* () {
      const collector = yield* OtlpBoth.start()
      const outcome = yield* llmperf(
        [
          ...small,
          "--llm-api=simulated",
          "--sim-ttft=2ms",
          "--sim-itl=1ms",
          `--workers=${workers}`,
          `--otlp=${collector.url}`,
          "--prometheus-port=0",
          "--json"
        ],
        { env: { OTEL_EXPORTER_OTLP_METRICS_HEADERS: "x-team=a%20b" } }
      )
      assert.strictEqual(outcome.unreported, "")
      assert.strictEqual(outcome.exitCode, 0, outcome.stderr)
      assert.match(outcome.stderr, /Metrics of this run: http:\/\/127\.0\.0\.1:\d+\/metrics\n/)
      assert.notInclude(outcome.stderr, "did not take the metrics")
      assert.deepStrictEqual(collector.problems(), [])
      const end = collector.metrics.taken.at(-1)
      assert.strictEqual(end?.headers["x-team"], "a b")
      assert.strictEqual(end?.resource["service.instance.id"], "night")
      assert.strictEqual(valueOf(end, "llmperf.requests_completed"), 12)
      assert.strictEqual(valueOf(end, "llmperf.requests_in_flight"), 0)
      const duration = end?.metrics.get("gen_ai.client.operation.duration")?.points[0]
      assert.strictEqual(
        duration?.counts?.reduce((all, count) => all + count, 0),
        12
      )
      assert.strictEqual(duration?.attributes["server.address"], "127.0.0.1")
      // The verdict of the run is known by then
      assert.isDefined(valueOf(end, "llmperf.verdict_grade"))
      // A span for each request, and one for the run
      const ids = collector.spans.spans().map((span) => SpansCollector.valuesOf(span.attributes)["llmperf.request_id"])
      assert.deepStrictEqual(
        ids.filter((id) => id !== undefined).toSorted((a, b) => Number(a) - Number(b)),
        Array.from({ length: 12 }, (_, index) => index + 1)
      )
      assert.lengthOf(ids, 13)
      const summary: { readonly [key: string]: unknown } = JSON.parse(outcome.stdout)
      assert.deepStrictEqual(
        ["url", "sent_spans", "dropped_spans", "failed_spans", "last_problem"].map((key) => summary[`otlp_${key}`]),
        [`${collector.url}/v1/traces`, 12, 0, 0, null]
      )
    }).pipe(Effect.scoped)
  )

  it.live("sends nothing when the port is in use", () =>
    Effect.gen(function* () {
      const server = yield* OpenAiServer.make(() => ({ words: 5, everyMillis: 4 }))
      const { port } = yield* taken
      const outcome = yield* run(server, [`--prometheus-port=${port}`])
      assert.strictEqual(outcome.exitCode, 2)
      assert.include(outcome.stderr, `port ${port} of 127.0.0.1: it is in use`)
      assert.isEmpty(server.seen)
    }).pipe(Effect.scoped)
  )

  it.live.each([
    ["--prometheus-host=127.0.0.1", "--prometheus-port"],
    ["--prometheus-port=65536", "a port, 0 to 65535"],
    ["--otlp=127.0.0.1:4318", "the http or https address of an OpenTelemetry collector"],
    ["--otlp=http://user:word@127.0.0.1:4318", "without a login"]
  ] as const)("refuses %s", ([flag, why]) =>
    Effect.gen(function* () {
      const server = yield* OpenAiServer.make(() => ({ words: 5, everyMillis: 4 }))
      const outcome = yield* run(server, [flag])
      assert.strictEqual(outcome.exitCode, 2)
      assert.include(outcome.stderr, why)
      assert.isEmpty(server.seen)
    }).pipe(Effect.scoped)
  )

  it.live("keeps to itself what variables hold that cannot be used", () =>
    Effect.gen(function* () {
      const server = yield* OpenAiServer.make(() => ({ words: 5, everyMillis: 4 }))
      const outcome = yield* run(server, ["--otlp=http://127.0.0.1:4318"], {
        OTEL_EXPORTER_OTLP_HEADERS: "authorization=top-secret%zz"
      })
      assert.strictEqual(outcome.exitCode, 2)
      assert.include(outcome.stderr, "OTEL_EXPORTER_OTLP_HEADERS")
      assert.notInclude(outcome.stderr, "top-secret")
      assert.isEmpty(server.seen)
    }).pipe(Effect.scoped)
  )
})
