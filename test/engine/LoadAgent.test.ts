import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as RpcTest from "effect/rpc/RpcTest"
import * as TestClock from "effect/testing/TestClock"
import * as LlmError from "../../src/domain/LlmError.ts"
import { type RequestPlan } from "../../src/domain/RequestPlan.ts"
import { type AgentSpec, LoadAgentRpcs, type Report } from "../../src/engine/LoadAgent.ts"
import * as LoadAgentHandlers from "../../src/engine/LoadAgentHandlers.ts"
import * as LiveStats from "../../src/metrics/LiveStats.ts"
import * as SummarySink from "../../src/metrics/SummarySink.ts"
import { Provider } from "../../src/provider/Provider.ts"
import * as Transport from "../../src/provider/Transport.ts"
import * as Fleets from "./fleets.ts"
import * as Runs from "./runs.ts"
import * as Scripted from "./scriptedProvider.ts"

const spec: AgentSpec = {
  runId: "run1",
  requestIdHeader: "x-request-id",
  requestTimeoutSeconds: null,
  timeoutSeconds: 90,
  graceSeconds: 30,
  slots: 2,
  saves: true,
  logsSent: false,
  warmUp: null
}

/** An agent, and what it has been asked to send. */
const agent = Effect.fnUntraced(function* (script: (plan: RequestPlan) => ReadonlyArray<Scripted.Step> = Runs.usual) {
  const { log, provider } = yield* Scripted.make(script)
  const services = Layer.mergeAll(Layer.succeed(Provider, provider), Fleets.counting(undefined), Transport.layer({}))
  const handlers = yield* Layer.build(LoadAgentHandlers.layer({ services }))
  return { client: yield* Effect.provideContext(RpcTest.makeClient(LoadAgentRpcs), handlers), log }
})

const linesOf = (bytes: Uint8Array): ReadonlyArray<string> => new TextDecoder().decode(bytes).split("\n").slice(0, -1)

describe("an agent", () => {
  it.effect("has to be prepared first, and tells its clock", () =>
    Effect.gen(function* () {
      const { client } = yield* agent()
      const lease = yield* Effect.flip(client.Lease({ plans: [], last: true, reportAt: 0 }))
      assert.strictEqual(lease._tag, "AgentFailed")
      const run = yield* Effect.flip(Stream.runDrain(client.Run({ monotonicNanos: 0, epochSeconds: 0 })))
      assert.strictEqual(run._tag, "AgentFailed")
      yield* TestClock.adjust(5)
      assert.strictEqual(yield* client.Clock(), 5e6)
      assert.deepStrictEqual(yield* client.Prepare(spec), { tokenizer: "llama", warmUp: null })
    }).pipe(Effect.scoped)
  )

  it.effect("tells why it cannot be prepared", () =>
    Effect.gen(function* () {
      const services = Layer.merge(
        Layer.effect(
          Provider,
          LlmError.fromReason(new LlmError.MissingCredential({ variable: "KEY", description: "no credentials" }))
        ),
        Layer.merge(Fleets.counting(undefined), Transport.layer({}))
      )
      const handlers = yield* Layer.build(LoadAgentHandlers.layer({ services }))
      const client = yield* Effect.provideContext(RpcTest.makeClient(LoadAgentRpcs), handlers)
      const error = yield* Effect.flip(client.Prepare(spec))
      assert.include(error.message, "no credentials")
    }).pipe(Effect.scoped)
  )

  it.effect("sends nothing before the start, reports four times a second, and each request once", () =>
    Effect.gen(function* () {
      const { client, log } = yield* agent((plan) => Scripted.answer({ ttft: 100, gap: 200, words: plan.outputTokens }))
      yield* client.Prepare(spec)
      yield* client.Lease({ plans: Scripted.plans(5), last: true, reportAt: 0 })
      const reports: Array<Report> = []
      const running = yield* Effect.forkChild(
        Stream.runForEach(client.Run({ monotonicNanos: 300e6, epochSeconds: 1_000 }), (report) =>
          Effect.sync(() => {
            reports.push(report)
          })
        )
      )
      yield* TestClock.adjust(299)
      assert.deepStrictEqual(log.opened, [])
      for (let step = 0; step < 600; step++) yield* TestClock.adjust(5)
      yield* Fiber.join(running)
      // Two slots, five requests of 0.7 s: done 2.1 s after the start
      assert.isAtLeast(reports.length, 9)
      assert.isAtMost(reports.length, 12)
      assert.deepStrictEqual(
        log.opened.map(({ at }) => Math.floor(at / 10)),
        [30, 30, 100, 100, 170]
      )
      const ended = reports.flatMap((report) => report.ended ?? [])
      const rows = ended.flatMap(({ records }) => linesOf(records)).map((line): Runs.Row => JSON.parse(line))
      assert.deepStrictEqual(
        ended.flatMap(({ ids }) => ids),
        rows.map((row) => row["request_id"])
      )
      assert.deepStrictEqual(Runs.column(Runs.byId(rows), "request_id"), Runs.ids(5))
      assert.isTrue(rows.every((row) => row["ttft_s"] === 0.1 && Number(row["start_time"]) >= 1_000))
      const sink = new SummarySink.SummarySink()
      for (const { summary } of ended) sink.merge(Result.getOrThrow(SummarySink.unpack(summary)))
      assert.strictEqual(sink.counts().completed, 5)
      const last = reports.at(-1)
      assert.deepStrictEqual([last?.taken, last?.free, last?.loopEnded, last?.counters.completed], [5, 2, true, 5])
      const live = LiveStats.make()
      LiveStats.start(live, 0)
      for (const { recent } of reports) LiveStats.addRecent(live, recent)
      const { recentTtft } = LiveStats.snapshot(live, 1e9)
      assert.strictEqual(recentTtft?.count, 5)
      assert.closeTo(recentTtft?.p50 ?? 0, 0.1, 0.1 / 16)
    }).pipe(Effect.scoped)
  )

  it.effect("reports at once when a slot waits for a plan, or few are left", () =>
    Effect.gen(function* () {
      const { client } = yield* agent(() => [Scripted.sent, Scripted.wait(20), Scripted.ended])
      yield* client.Prepare(spec)
      yield* client.Lease({ plans: Scripted.plans(4), last: false, reportAt: 1 })
      const reports: Array<readonly [at: number, taken: number, free: number]> = []
      const clock = client.Clock()
      yield* Effect.forkScoped(
        Stream.runForEach(client.Run({ monotonicNanos: 0, epochSeconds: 0 }), (report) =>
          Effect.map(clock, (at) => {
            reports.push([at / 1e6, report.taken, report.free])
          })
        )
      )
      for (let step = 0; step < 60; step++) yield* TestClock.adjust(1)
      // The third leaves one, the fourth none; then both slots wait. The next that is not at once is after 250 ms
      assert.isTrue(reports.some(([at, taken]) => at >= 20 && at < 40 && taken === 4))
      assert.isTrue(reports.some(([at, taken, free]) => at >= 40 && taken === 4 && free === 2))
      assert.isAtMost(reports.length, 8)
    }).pipe(Effect.scoped)
  )
})
