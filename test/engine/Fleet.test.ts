import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { Truncated } from "../../src/domain/LlmError.ts"
import { type WhenFull } from "../../src/domain/RunConfig.ts"
import * as Fleet from "../../src/engine/Fleet.ts"
import { AgentFailed } from "../../src/engine/LoadAgent.ts"
import * as Fleets from "./fleets.ts"
import * as Replays from "./replays.ts"
import * as Runs from "./runs.ts"
import * as Scripted from "./scriptedProvider.ts"

const idsOf = (log: Scripted.Log): ReadonlyArray<number> => log.opened.map(({ id }) => id)

/** What does not depend on the moment at which a request was sent. */
const untimed = (rows: ReadonlyArray<Runs.Row>) =>
  Runs.byId(rows).map((row) => ({
    id: row["request_id"],
    header: row["x_request_id"],
    error: row["error_code"],
    input: row["number_input_tokens"],
    target: row["target_input_tokens"],
    asked: row["target_output_tokens"],
    output: row["number_output_tokens"],
    chunks: row["number_chunks"],
    ttft: row["ttft_s"],
    keys: Object.keys(row)
  }))

/** How many requests were in flight at all agents together, at each moment at which that changed. */
const inFlight = (logs: ReadonlyArray<Scripted.Log>): ReadonlyArray<{ readonly at: number; readonly now: number }> => {
  const moments = logs.flatMap(({ closed, opened }) => [
    ...opened.map(({ at }) => ({ at, change: 1 })),
    ...closed.map(({ at }) => ({ at, change: -1 }))
  ])
  return [...new Set(moments.map(({ at }) => at))]
    .toSorted((a, b) => a - b)
    .map((at) => ({ at, now: moments.reduce((sum, moment) => (moment.at <= at ? sum + moment.change : sum), 0) }))
}

/** Its reports end when `death` does. */
const losing =
  (death: Deferred.Deferred<void>) =>
  (agent: Fleet.Agent): Fleet.Agent => ({
    ...agent,
    run: (start) =>
      Stream.interruptWhen(
        agent.run(start),
        Effect.andThen(
          Deferred.await(death),
          Effect.fail(new Fleet.AgentLost({ agent: agent.name, problem: "power cut" }))
        )
      )
  })

const untimedKeys = (summary: Runs.Row): ReadonlyArray<string> =>
  Object.keys(summary).filter((key) => !["requests_per_worker", "partial", "lost_requests"].includes(key))

describe("a closed loop over several agents", () => {
  it.effect("has as many in flight as one thread would, until the plans run out", () =>
    Effect.gen(function* () {
      const { fiber, logs } = yield* Fleets.startClosed({
        count: 3,
        config: { maxNumCompletedRequests: 60, numConcurrentRequests: 7 }
      })
      const result = yield* Fleets.untilEnded(fiber)
      assert.strictEqual(result.summary.num_completed_requests, 60)
      assert.strictEqual(result.summary.max_requests_in_flight, 7)
      assert.strictEqual(result.notSent, 0)
      assert.deepStrictEqual(result.lost, [])
      assert.deepStrictEqual(
        logs.flatMap(idsOf).toSorted((a, b) => a - b),
        Runs.ids(60)
      )
      // Slots are split as evenly as can be
      const most = logs.map((log) => Math.max(...log.inFlight.map(({ now }) => now)))
      assert.deepStrictEqual(most, [3, 2, 2])
      assert.strictEqual(result.document.get("workers"), 3)
      const shares = result.document.get("requests_per_worker")
      assert.deepStrictEqual(
        shares,
        logs.map(({ opened }) => opened.length)
      )
      // While plans are left no slot is without one: what comes next begins as its slot is free
      const lastBegin = Math.max(...logs.flatMap(({ opened }) => opened.map(({ at }) => at)))
      for (const { at, now } of inFlight(logs)) if (at < lastBegin) assert.strictEqual(now, 7, `at ${at} ms`)
    }).pipe(Effect.scoped, Runs.withoutFiles)
  )

  it.effect("gives the results of one thread", () =>
    Runs.inFolder((folder) =>
      Effect.gen(function* () {
        const config = { maxNumCompletedRequests: 40, numConcurrentRequests: 5 }
        const one = yield* Runs.complete({ config: { ...config, resultsDir: `${folder}/one` }, script: Runs.mixed })
        const { fiber, live } = yield* Fleets.startClosed({
          count: 2,
          config: { ...config, resultsDir: `${folder}/many` },
          script: Runs.mixed
        })
        const many = yield* Fleets.untilEnded(fiber)
        const rows = yield* Runs.readRecords(folder, "one", "records.ndjson")
        assert.deepStrictEqual(untimed(yield* Runs.readRecords(folder, "many", "records.ndjson")), untimed(rows))
        for (const name of [
          "num_completed_requests",
          "num_requests_started",
          "number_errors",
          "error_code_frequency",
          "total_input_tokens",
          "total_output_tokens",
          "total_chunks",
          "number_input_tokens",
          "number_output_tokens",
          "inter_chunk_latency_s",
          "max_requests_in_flight"
        ] as const) {
          assert.deepStrictEqual(many.summary[name], one.result.summary[name], name)
        }
        assert.deepStrictEqual(
          [live.started, live.completed, live.failed, live.chunks, live.completedTokens],
          [one.live.started, one.live.completed, one.live.failed, one.live.chunks, one.live.completedTokens]
        )
        const file = "org-demo-7b_60_8_summary.json"
        const summary = yield* Runs.readSummary(folder, "one", file)
        const merged = yield* Runs.readSummary(folder, "many", file)
        assert.deepStrictEqual(untimedKeys(merged), untimedKeys(summary))
        for (const key of ["inexact_prompts", "redrawn_input_tokens", "redrawn_output_tokens", "tokenizer"]) {
          assert.strictEqual(merged[key], summary[key], key)
        }
        assert.deepStrictEqual(
          (yield* Runs.files(`${folder}/many`)).map((name) => name.replace(/^\..*/, "")),
          yield* Runs.files(`${folder}/one`)
        )
      }).pipe(Effect.scoped)
    )
  )

  it.effect("starts nothing after --timeout, cancels after the grace, and keeps all rows", () =>
    Runs.inFolder((folder) =>
      Effect.gen(function* () {
        const { fiber } = yield* Fleets.startClosed({
          script: Runs.tenSeconds,
          config: { maxNumCompletedRequests: 100, timeoutSeconds: 11, graceSeconds: 4.5, resultsDir: folder }
        })
        const result = yield* Fleets.untilEnded(fiber)
        assert.strictEqual(result.summary.num_completed_requests, 4)
        assert.strictEqual(result.summary.num_cancelled_requests, 4)
        assert.strictEqual(result.stopped, "timeout")
        assert.strictEqual(result.notSent, 92)
        const rows = Runs.byId(yield* Runs.readRecords(folder, "records.ndjson"))
        assert.deepStrictEqual(Runs.column(rows, "request_id"), Runs.ids(8))
        for (const row of rows.slice(4)) {
          assert.strictEqual(row["error_msg"], "Cancelled: the test was over (11 s) and the grace of 4.5 s too")
          assert.strictEqual(row["number_output_tokens"], 1)
        }
      }).pipe(Effect.scoped)
    )
  )

  it.effect("lets those in flight end when the user stops it", () =>
    Effect.gen(function* () {
      const wish = yield* Deferred.make<void>()
      const { fiber, live, logs } = yield* Fleets.startClosed({
        script: Runs.tenSeconds,
        config: { maxNumCompletedRequests: 100 },
        run: { userStop: Deferred.await(wish) }
      })
      yield* Fleets.untilStarted(live)
      yield* TestClock.adjust(3_000)
      yield* Deferred.succeed(wish, undefined)
      const result = yield* Fleets.untilEnded(fiber)
      assert.strictEqual(result.stopped, "interrupted")
      assert.strictEqual(result.summary.num_completed_requests, 4)
      assert.strictEqual(result.notSent, 96)
      assert.lengthOf(logs.flatMap(idsOf), 4)
    }).pipe(Effect.scoped, Runs.withoutFiles)
  )

  it.effect("writes the rows of what has ended when it is interrupted, uncounted text or not", () =>
    Runs.inFolder((folder) =>
      Effect.gen(function* () {
        const { fiber, live } = yield* Fleets.startClosed({
          script: Runs.tenSeconds,
          config: { maxNumCompletedRequests: 100, resultsDir: folder },
          counter: { name: "slow", count: (text) => (text === "" ? Effect.succeed(0) : Effect.never) }
        })
        yield* Fleets.untilStarted(live)
        yield* TestClock.adjust(12_000)
        yield* Effect.forkChild(Fiber.interrupt(fiber))
        for (let step = 0; step < 500 && fiber.pollUnsafe() === undefined; step++) {
          yield* TestClock.adjust(1)
          yield* Runs.pause
        }
        const rows = Runs.byId(yield* Runs.readRecords(folder, "records.ndjson"))
        assert.deepStrictEqual(Runs.column(rows, "request_id"), Runs.ids(8))
        assert.deepStrictEqual(Runs.column(rows, "error_reason"), [
          null,
          null,
          null,
          null,
          "Cancelled",
          "Cancelled",
          "Cancelled",
          "Cancelled"
        ])
      }).pipe(Effect.scoped)
    )
  )

  it.effect("tells of an agent that cannot be made ready before anything is sent", () =>
    Effect.gen(function* () {
      const { fiber, logs } = yield* Fleets.startClosed({
        change: (agent, index) =>
          index === 0
            ? agent
            : { ...agent, prepare: () => Effect.fail(new AgentFailed({ description: "no key for you" })) }
      })
      const error = yield* Effect.flip(Fleets.untilEnded(fiber))
      assert.strictEqual(error._tag, "AgentFailed")
      assert.strictEqual(error.message, "no key for you")
      assert.lengthOf(logs.flatMap(idsOf), 0)
    }).pipe(Effect.scoped, Runs.withoutFiles)
  )

  it.effect("names what a lost agent held, and lets the others send the rest", () =>
    Runs.inFolder((folder) =>
      Effect.gen(function* () {
        const death = yield* Deferred.make<void>()
        const { fiber, live } = yield* Fleets.startClosed({
          config: { maxNumCompletedRequests: 60, numConcurrentRequests: 6, resultsDir: folder },
          change: (agent, index) => (index === 0 ? agent : losing(death)(agent))
        })
        yield* Fleets.untilStarted(live)
        for (let step = 0; step < 40; step++) {
          yield* TestClock.adjust(25)
          yield* Runs.pause
        }
        yield* Deferred.succeed(death, undefined)
        const result = yield* Fleets.untilEnded(fiber)
        const [lost] = result.lost
        if (lost === undefined) return assert.fail("no agent was lost")
        assert.strictEqual(lost.name, "worker 2 of 2")
        assert.strictEqual(lost.problem, "power cut")
        assert.isAtLeast(lost.requestIds.length, 3)
        const rows = yield* Runs.readRecords(folder, "records.ndjson")
        const kept = rows.map((row) => Number(row["request_id"]))
        assert.deepStrictEqual(
          [...kept, ...lost.requestIds].toSorted((a, b) => a - b),
          Runs.ids(60)
        )
        assert.strictEqual(result.notSent, 0)
        assert.strictEqual(result.summary.num_completed_requests, kept.length)
        assert.strictEqual(result.summary.inter_chunk_latency_s.mean, 0.02)
        const summary = yield* Runs.readSummary(folder, "org-demo-7b_60_8_summary.json")
        assert.deepStrictEqual(summary["lost_requests"], [...lost.requestIds])
      }).pipe(Effect.scoped)
    )
  )
})

describe("the places of an agent that is lost", () => {
  it.effect("go to the others in a closed loop", () =>
    Effect.gen(function* () {
      const death = yield* Deferred.make<void>()
      const { fiber, live, logs } = yield* Fleets.startClosed({
        count: 3,
        config: { maxNumCompletedRequests: 200, numConcurrentRequests: 9 },
        change: (agent, index) => (index === 2 ? losing(death)(agent) : agent)
      })
      yield* Fleets.untilStarted(live)
      for (let step = 0; step < 40; step++) {
        yield* TestClock.adjust(25)
        yield* Runs.pause
      }
      const [first, second] = logs
      assert.isDefined(first)
      assert.isDefined(second)
      const diedAt = Math.max(...inFlight(logs).map(({ at }) => at))
      yield* Deferred.succeed(death, undefined)
      const result = yield* Fleets.untilEnded(fiber)
      assert.lengthOf(result.lost, 1)
      assert.strictEqual(result.notSent, 0)
      const moments = inFlight([first, second])
      const before = moments.filter(({ at }) => at < diedAt).map(({ now }) => now)
      const after = moments.filter(({ at }) => at >= diedAt).map(({ now }) => now)
      assert.strictEqual(Math.max(...before), 6)
      assert.strictEqual(Math.max(...after), 9)
      assert.isTrue(live.lost.some(({ name, problem }) => name === "worker 3 of 3" && problem === "power cut"))
    }).pipe(Effect.scoped, Runs.withoutFiles)
  )
})

describe("--max-in-flight over several agents", () => {
  // Far more than six can bear, so that all places are taken
  const crowd = Replays.scheduleOf(Array.from({ length: 60 }, (_, i) => ({ offset: i / 100 })))
  const start = (whenFull: WhenFull, schedule = crowd) =>
    Fleets.startOpen({ schedule, count: 3, config: { maxInFlight: 6, whenFull } })

  it.effect("queue: never more are in flight at all of them together, and all are sent", () =>
    Effect.gen(function* () {
      const { fiber, logs } = yield* start("queue")
      const { summary } = yield* Fleets.untilEnded(fiber, 1)
      assert.strictEqual(summary.num_completed_requests, 60)
      assert.strictEqual(Math.max(...inFlight(logs).map(({ now }) => now)), 6)
      assert.strictEqual(summary.max_requests_in_flight, 6)
    }).pipe(Effect.scoped, Runs.withoutFiles)
  )

  it.effect("drop: what finds no place is left out and counted, and nobody is taken for lost", () =>
    Effect.gen(function* () {
      const { fiber, live, logs } = yield* start("drop")
      const result = yield* Fleets.untilEnded(fiber, 1)
      assert.deepStrictEqual(result.lost, [])
      assert.strictEqual(Math.max(...inFlight(logs).map(({ now }) => now)), 6)
      assert.isAbove(live.dropped, 20)
      assert.strictEqual(result.summary.num_completed_requests, 60 - live.dropped)
      assert.strictEqual(result.summary.num_dropped_requests, live.dropped)
      assert.isNull(result.stopped)
    }).pipe(Effect.scoped, Runs.withoutFiles)
  )

  it.effect("abort: the first that finds no place ends the run at all of them", () =>
    Effect.gen(function* () {
      const { fiber } = yield* start("abort")
      const result = yield* Fleets.untilEnded(fiber, 1)
      assert.strictEqual(result.stopped, "full")
      assert.deepStrictEqual(result.lost, [])
      assert.isAbove(result.notSent, 0)
    }).pipe(Effect.scoped, Runs.withoutFiles)
  )

  it.effect("a place goes to the agent that needs it, and there are never more of them", () =>
    Effect.gen(function* () {
      // The first of three agents is given every request that takes long
      const schedule = Replays.scheduleOf(Array.from({ length: 300 }, (_, i) => ({ offset: i / 50 })))
      const { fiber, logs } = yield* Fleets.startOpen({
        schedule,
        count: 3,
        script: ({ id }) => [Scripted.sent, Scripted.wait(id % 3 === 1 ? 400 : 10), Scripted.ended],
        config: { maxInFlight: 9, whenFull: "queue" }
      })
      yield* Fleets.untilEnded(fiber, 1)
      const most = logs.map((log) => Math.max(...log.inFlight.map(({ now }) => now)))
      assert.isAbove(most[0] ?? 0, 3)
      assert.isAtMost(Math.max(...inFlight(logs).map(({ now }) => now)), 9)
    }).pipe(Effect.scoped, Runs.withoutFiles)
  )
})

describe("an open loop over several agents", () => {
  const schedule = Replays.scheduleOf(Array.from({ length: 50 }, (_, i) => ({ offset: Math.floor(i * 37.5) / 1_000 })))

  it.effect("sends each request when it is due, one after the other to each", () =>
    Runs.inFolder((folder) =>
      Effect.gen(function* () {
        const one = yield* Replays.complete({ schedule, config: { resultsDir: `${folder}/one` } })
        const { fiber, logs } = yield* Fleets.startOpen({
          schedule,
          count: 3,
          config: { resultsDir: `${folder}/many` }
        })
        yield* Fleets.untilEnded(fiber, 0.5)
        for (const [agent, log] of logs.entries()) {
          assert.deepStrictEqual(
            idsOf(log),
            Runs.ids(50).filter((id) => (id - 1) % 3 === agent)
          )
        }
        const run = (part: string) => `${folder}/${part}/${part === "one" ? Replays.folderName : ""}`
        const many = (yield* Runs.files(`${folder}/many`))[0] ?? ""
        const rows = Runs.byId(yield* Runs.readRecords(run("one"), "records.ndjson"))
        const merged = Runs.byId(yield* Runs.readRecords(`${folder}/many`, many, "records.ndjson"))
        assert.deepStrictEqual(untimed(merged), untimed(rows))
        const micros = (row: Runs.Row) => Math.round(Number(row["intended_offset_s"]) * 1e6)
        assert.deepStrictEqual(merged.map(micros), rows.map(micros))
        assert.deepStrictEqual(
          merged.map((row) => row["dispatch_lag_s"]),
          rows.map((row) => row["dispatch_lag_s"])
        )
        const sent = yield* Runs.readRecords(`${folder}/many`, many, "requests_sent.log")
        assert.lengthOf(sent, 50)
        assert.strictEqual(one.result.summary.num_completed_requests, 50)
      }).pipe(Effect.scoped)
    )
  )
})

describe("whose tokens several agents count", () => {
  const usage = (outputTokens: number) =>
    Scripted.emit((at) => ({
      _tag: "Usage",
      at,
      inputTokens: 1,
      outputTokens,
      cachedInputTokens: null,
      reasoningTokens: null
    }))
  /** Each request takes so many milliseconds; 77 tokens says the usage of those that have one. */
  const script =
    (millis: (id: number) => number, hasUsage: (id: number) => boolean) =>
    ({ id }: { readonly id: number }): ReadonlyArray<Scripted.Step> => [
      Scripted.sent,
      Scripted.text("word"),
      Scripted.wait(millis(id)),
      Scripted.text(" word"),
      ...(hasUsage(id) ? [usage(77)] : []),
      Scripted.ended
    ]
  const rowsOf = Effect.fnUntraced(function* (
    folder: string,
    options: Pick<Fleets.Options, "script" | "change"> & { readonly count?: number }
  ) {
    const { fiber } = yield* Fleets.startClosed({
      count: 3,
      ...options,
      config: { maxNumCompletedRequests: 12, numConcurrentRequests: 6, resultsDir: folder }
    })
    const { summary } = yield* Fleets.untilEnded(fiber)
    return { summary, rows: Runs.byId(yield* Runs.readRecords(folder, "records.ndjson")) }
  })
  const tokensOf = (rows: ReadonlyArray<Runs.Row>) => [
    ...new Set(rows.map((row) => `${row["token_source"]} ${row["number_output_tokens"]}`))
  ]

  it.effect("is decided for all of them by the first answer of any", () =>
    Runs.inFolder((folder) =>
      Effect.gen(function* () {
        // Request 2, of the second agent, is the first to end
        const millis = (id: number) => (id === 2 ? 50 : 400 + 10 * id)
        const withUsage = yield* rowsOf(`${folder}/with`, { script: script(millis, (id) => id === 2 || id > 8) })
        assert.deepStrictEqual(tokensOf(withUsage.rows).toSorted(), ["server 77", "server null"])
        assert.deepInclude(withUsage.summary, {
          token_source: "server",
          num_uncounted_requests: 7,
          total_output_tokens: null
        })
        const without = yield* rowsOf(`${folder}/without`, { script: script(millis, (id) => id !== 2) })
        assert.deepStrictEqual(tokensOf(without.rows), ["tokenizer 2"])
        assert.deepInclude(without.summary, { token_source: "tokenizer", num_uncounted_requests: 0 })
        for (const { rows } of [withUsage, without]) {
          assert.deepStrictEqual([...new Set(rows.map((row) => row["tokenizer_output_tokens"]))], [2])
        }
      }).pipe(Effect.scoped)
    )
  )

  it.effect("is told again when a call does not get through", () =>
    Runs.inFolder((folder) =>
      Effect.gen(function* () {
        let calls = 0
        const { rows, summary } = yield* rowsOf(folder, {
          script: script(
            () => 50,
            () => true
          ),
          change: (agent) => ({
            ...agent,
            decide: (decision) => (++calls <= 3 ? Effect.void : agent.decide(decision))
          })
        })
        assert.isAbove(calls, 3)
        assert.strictEqual(rows.length, 12)
        assert.deepStrictEqual(tokensOf(rows), ["server 77"])
        assert.strictEqual(summary.num_completed_requests, 12)
      }).pipe(Effect.scoped)
    )
  )

  it.effect("is nobody's where no request succeeds", () =>
    Runs.inFolder((folder) =>
      Effect.gen(function* () {
        const { rows, summary } = yield* rowsOf(folder, {
          script: () => [Scripted.sent, Scripted.text("half"), Scripted.fail(new Truncated({ description: "reset" }))]
        })
        assert.deepStrictEqual(tokensOf(rows), ["null null"])
        assert.deepStrictEqual([...new Set(rows.map((row) => row["tokenizer_output_tokens"]))], [1])
        assert.isNull(summary.token_source)
      }).pipe(Effect.scoped)
    )
  )
})
