import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as RpcTest from "effect/rpc/RpcTest"
import * as TestClock from "effect/testing/TestClock"
import { gunzipSync } from "node:zlib"
import * as LlmError from "../../src/domain/LlmError.ts"
import { type RequestPlan } from "../../src/domain/RequestPlan.ts"
import { LoadAgentRpcs, type Log, PROTOCOL, type Report } from "../../src/engine/LoadAgent.ts"
import * as LoadAgentHandlers from "../../src/engine/LoadAgentHandlers.ts"
import * as LiveStats from "../../src/metrics/LiveStats.ts"
import * as SummarySink from "../../src/metrics/SummarySink.ts"
import { Provider } from "../../src/provider/Provider.ts"
import * as Transport from "../../src/provider/Transport.ts"
import * as Fleets from "./fleets.ts"
import * as Runs from "./runs.ts"
import * as Scripted from "./scriptedProvider.ts"

const session = "run1-a"

const spec = Fleets.spec(session)

/** An agent, and what it has been asked to send. */
const agent = Effect.fnUntraced(function* (script: (plan: RequestPlan) => ReadonlyArray<Scripted.Step> = Runs.usual) {
  const { log, provider } = yield* Scripted.make(script)
  const services = Layer.mergeAll(Layer.succeed(Provider, provider), Fleets.counting(undefined), Transport.layer({}))
  const handlers = yield* Layer.build(LoadAgentHandlers.layer({ services: () => services }))
  return { client: yield* Effect.provideContext(RpcTest.makeClient(LoadAgentRpcs), handlers), log }
})

const linesOf = (bytes: Uint8Array): ReadonlyArray<string> => new TextDecoder().decode(bytes).split("\n").slice(0, -1)

describe("an agent", () => {
  it.effect("has to be prepared first, and tells its clock", () =>
    Effect.gen(function* () {
      const { client } = yield* agent()
      const lease = yield* Effect.flip(
        client.Lease({ session, number: 1, plans: [], last: true, places: null, reportAt: 0 })
      )
      assert.strictEqual(lease._tag, "AgentFailed")
      const run = yield* Effect.flip(Stream.runDrain(client.Run({ session, monotonicNanos: 0, epochSeconds: 0 })))
      assert.strictEqual(run._tag, "AgentFailed")
      yield* TestClock.adjust(5)
      assert.strictEqual(yield* client.Clock({ session }), 5e6)
      assert.deepStrictEqual(yield* client.Prepare(spec), { tokenizer: "llama", warmUp: null })
    }).pipe(Effect.scoped, Runs.withoutFiles)
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
      const handlers = yield* Layer.build(LoadAgentHandlers.layer({ services: () => services }))
      const client = yield* Effect.provideContext(RpcTest.makeClient(LoadAgentRpcs), handlers)
      const error = yield* Effect.flip(client.Prepare(spec))
      assert.include(error.message, "no credentials")
    }).pipe(Effect.scoped, Runs.withoutFiles)
  )

  it.effect("sends nothing before the start, reports four times a second, and each request once", () =>
    Effect.gen(function* () {
      const { client, log } = yield* agent((plan) => Scripted.answer({ ttft: 100, gap: 200, words: plan.outputTokens }))
      yield* client.Prepare(spec)
      yield* client.Lease({ session, number: 1, plans: Scripted.plans(5), last: true, places: null, reportAt: 0 })
      const reports: Array<Report> = []
      const running = yield* Effect.forkChild(
        Stream.runForEach(client.Run({ session, monotonicNanos: 300e6, epochSeconds: 1_000 }), (report) =>
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
      assert.deepStrictEqual([last?.taken, last?.inFlight, last?.loopEnded, last?.counters.completed], [5, 0, true, 5])
      const live = LiveStats.make()
      LiveStats.start(live, 0)
      for (const { recent } of reports) LiveStats.addRecent(live, recent)
      const { recentTtft } = LiveStats.snapshot(live, 1e9)
      assert.strictEqual(recentTtft?.count, 5)
      assert.closeTo(recentTtft?.p50 ?? 0, 0.1, 0.1 / 16)
    }).pipe(Effect.scoped, Runs.withoutFiles)
  )

  it.effect("reports at once when a slot waits for a plan, or few are left", () =>
    Effect.gen(function* () {
      const { client } = yield* agent(() => [Scripted.sent, Scripted.wait(20), Scripted.ended])
      yield* client.Prepare(spec)
      yield* client.Lease({ session, number: 1, plans: Scripted.plans(4), last: false, places: null, reportAt: 1 })
      const reports: Array<readonly [at: number, taken: number, inFlight: number]> = []
      const clock = client.Clock({ session })
      yield* Effect.forkScoped(
        Stream.runForEach(client.Run({ session, monotonicNanos: 0, epochSeconds: 0 }), (report) =>
          Effect.map(clock, (at) => {
            reports.push([at / 1e6, report.taken, report.inFlight])
          })
        )
      )
      for (let step = 0; step < 60; step++) yield* TestClock.adjust(1)
      // The third leaves one, the fourth none; then both slots wait. The next that is not at once is after 250 ms
      assert.isTrue(reports.some(([at, taken]) => at >= 20 && at < 40 && taken === 4))
      assert.isTrue(reports.some(([at, taken, inFlight]) => at >= 40 && taken === 4 && inFlight === 0))
      assert.isAtMost(reports.length, 8)
    }).pipe(Effect.scoped, Runs.withoutFiles)
  )
})

/** An agent as on another machine: it keeps its rows in a folder, and stops when it is not called. */
const farAgent = Effect.fnUntraced(function* (
  folder: string,
  script: (plan: RequestPlan) => ReadonlyArray<Scripted.Step> = Runs.usual
) {
  const { log, provider } = yield* Scripted.make(script)
  const services = Layer.mergeAll(Layer.succeed(Provider, provider), Fleets.counting(undefined), Transport.layer({}))
  const handlers = yield* Layer.build(
    LoadAgentHandlers.layer({ services: () => services, about: Effect.succeed(Fleets.profile), folder })
  )
  return { client: yield* Effect.provideContext(RpcTest.makeClient(LoadAgentRpcs), handlers), log }
})

const farSpec = Fleets.spec(session, { agent: "far:7070", keepsRows: true, silenceSeconds: 5 })

const caller = { protocol: PROTOCOL, version: Fleets.profile.version }

/** Time passes in steps, and files are written in real time. */
const pass = Effect.fnUntraced(function* (millis: number) {
  for (let passed = 0; passed < millis; passed += 50) {
    yield* TestClock.adjust(50)
    if (passed % 500 === 0) yield* Runs.pause
  }
})

/** A session is over when its files are closed, which takes real time. */
const untilFree = Effect.fnUntraced(function* ({ Hello }: Effect.Success<ReturnType<typeof farAgent>>["client"]) {
  for (let step = 0; step < 5_000 && (yield* Hello(caller)).session !== null; step++) {
    yield* TestClock.adjust(1)
    yield* Runs.pause
  }
  assert.strictEqual((yield* Hello(caller)).session, null)
})

describe("sessions of an agent", () => {
  it.effect("say who is there, and refuse other versions", () =>
    Effect.gen(function* () {
      const { client } = yield* farAgent("none")
      assert.deepStrictEqual(yield* client.Hello(caller), Fleets.profile)
      const wrong = yield* Effect.flip(client.Hello({ ...caller, version: "9.9.9" }))
      assert.include(wrong.message, `it is llmperf 0.0.0 (protocol ${PROTOCOL}), this is 9.9.9 (protocol ${PROTOCOL})`)
      yield* Effect.flip(client.Hello({ ...caller, protocol: PROTOCOL + 1 }))
    }).pipe(Effect.scoped, Runs.withoutFiles)
  )

  it.effect("come one after the other, and none is begun twice", () =>
    Runs.inFolder((folder) =>
      Effect.gen(function* () {
        const { client, log } = yield* farAgent(folder)
        yield* client.Prepare(farSpec)
        assert.strictEqual((yield* client.Hello(caller)).session, session)
        const busy = yield* Effect.flip(client.Prepare({ ...farSpec, session: "run2-a" }))
        assert.include(busy.message, `it is busy with ${session}`)
        const unknown = yield* Effect.flip(
          client.Lease({ session: "run2-a", number: 1, plans: [], last: true, places: null, reportAt: 0 })
        )
        assert.include(unknown.message, "knows nothing of this run")
        // A lease that is carried twice counts once
        const lease = { session, number: 1, plans: Scripted.plans(4), last: true, places: null, reportAt: 0 }
        yield* client.Lease(lease)
        yield* client.Lease(lease)
        const start = { session, monotonicNanos: 0, epochSeconds: 0 }
        const running = yield* Effect.forkChild(Stream.runDrain(client.Run(start)))
        yield* pass(100)
        const again = yield* Effect.flip(Stream.runDrain(client.Run(start)))
        assert.include(again.message, "begun before")
        const early = yield* Effect.flip(client.Account({ session }))
        assert.include(early.message, "not over")
        yield* pass(3_000)
        yield* Fiber.join(running)
        assert.deepStrictEqual(log.opened.map(({ id }) => id).toSorted(), Runs.ids(4))
        const account = yield* client.Account({ session })
        assert.deepStrictEqual([...account.ids].toSorted(), Runs.ids(4))
        assert.strictEqual(Result.getOrThrow(SummarySink.unpack(account.summary)).counts().completed, 4)
        assert.strictEqual((yield* client.Hello(caller)).session, null)
        // The next one may begin, and the first is forgotten
        yield* client.Prepare({ ...farSpec, session: "run2-a" })
        yield* Effect.flip(client.Account({ session }))
      }).pipe(Effect.scoped)
    )
  )

  it.effect("do not begin long after their start", () =>
    Runs.inFolder((folder) =>
      Effect.gen(function* () {
        const { client, log } = yield* farAgent(folder)
        yield* client.Prepare(farSpec)
        yield* client.Lease({ session, number: 1, plans: Scripted.plans(4), last: true, places: null, reportAt: 0 })
        yield* TestClock.adjust(4_000)
        const late = yield* Effect.flip(Stream.runDrain(client.Run({ session, monotonicNanos: 0, epochSeconds: 0 })))
        assert.include(late.message, "told to start 4000 ms too late")
        assert.lengthOf(log.opened, 0)
      }).pipe(Effect.scoped)
    )
  )

  it.effect("keep their rows, give them in pieces, also from the middle, and forget them when told", () =>
    Runs.inFolder((folder) =>
      Effect.gen(function* () {
        const { client } = yield* farAgent(folder)
        yield* client.Prepare({ ...farSpec, logsSent: true })
        yield* client.Lease({ session, number: 1, plans: Scripted.plans(40), last: true, places: null, reportAt: 0 })
        const ended: Array<number> = []
        const running = yield* Effect.forkChild(
          Stream.runForEach(client.Run({ session, monotonicNanos: 0, epochSeconds: 0 }), (report) =>
            Effect.sync(() => {
              assert.strictEqual(report.ended?.records.length ?? 0, 0)
              ended.push(...(report.ended?.ids ?? []))
            })
          )
        )
        // The coordinator says that it is there, however long writing takes meanwhile
        for (let second = 0; second < 12; second++) {
          yield* pass(1_000)
          yield* client.Clock({ session })
        }
        yield* Fiber.join(running)
        assert.deepStrictEqual(
          ended.toSorted((a, b) => a - b),
          Runs.ids(40)
        )
        const collect = (log: Log, from: number) =>
          Effect.map(Stream.runCollect(client.Collect({ session, log, from })), (pieces) => {
            const text = pieces.map(({ bytes }) => gunzipSync(bytes).toString()).join("")
            assert.strictEqual(
              pieces.reduce((sum, { size }) => sum + size, 0),
              Buffer.byteLength(text)
            )
            assert.strictEqual(
              pieces.reduce((sum, { count }) => sum + count, 0),
              text.split("\n").length - 1
            )
            return text
          })
        const records = yield* collect("records", 0)
        const rows = records
          .split("\n")
          .slice(0, -1)
          .map((line): Runs.Row => JSON.parse(line))
        assert.deepStrictEqual(Runs.column(rows, "request_id"), ended)
        assert.isTrue(rows.every((row) => row["agent"] === "far:7070"))
        const middle = records.indexOf("\n", records.length / 2) + 1
        assert.strictEqual(yield* collect("records", middle), records.slice(middle))
        assert.lengthOf((yield* collect("sent", 0)).split("\n"), 41)
        yield* client.Release({ session })
        yield* Effect.flip(Stream.runDrain(client.Collect({ session, log: "records", from: 0 })))
        assert.deepStrictEqual(yield* Runs.files(folder), [])
      }).pipe(Effect.scoped)
    )
  )

  it.effect(
    "end when the coordinator is not heard of any more; what was in flight is cancelled and accounted for",
    () =>
      Runs.inFolder((folder) =>
        Effect.gen(function* () {
          const { client } = yield* farAgent(folder, Runs.tenSeconds)
          yield* client.Prepare(farSpec)
          yield* client.Lease({ session, number: 1, plans: Scripted.plans(10), last: true, places: null, reportAt: 0 })
          yield* Effect.forkScoped(Stream.runDrain(client.Run({ session, monotonicNanos: 0, epochSeconds: 0 })))
          // As long as it asks for the clock it is there
          for (let second = 0; second < 12; second++) {
            yield* pass(1_000)
            yield* client.Clock({ session })
          }
          assert.strictEqual((yield* client.Hello(caller)).session, session)
          yield* pass(6_000)
          yield* untilFree(client)
          const { counters, ids } = yield* client.Account({ session })
          assert.deepStrictEqual([...ids].toSorted(), Runs.ids(4))
          assert.deepStrictEqual([counters.completed, counters.cancelled], [2, 2])
        }).pipe(Effect.scoped)
      )
  )

  it.effect("end when nobody takes their reports any more", () =>
    Runs.inFolder((folder) =>
      Effect.gen(function* () {
        const { client } = yield* farAgent(folder, Runs.tenSeconds)
        yield* client.Prepare(farSpec)
        yield* client.Lease({ session, number: 1, plans: Scripted.plans(10), last: true, places: null, reportAt: 0 })
        const running = yield* Effect.forkScoped(
          Stream.runDrain(client.Run({ session, monotonicNanos: 0, epochSeconds: 0 }))
        )
        yield* pass(3_000)
        yield* Fiber.interrupt(running)
        yield* untilFree(client)
        assert.strictEqual((yield* client.Account({ session })).counters.cancelled, 2)
      }).pipe(Effect.scoped)
    )
  )
})
