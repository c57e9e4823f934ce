import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Fleet from "../../src/engine/Fleet.ts"
import { type LoadTestConfig } from "../../src/domain/RunConfig.ts"
import type * as LiveStats from "../../src/metrics/LiveStats.ts"
import * as Fleets from "./fleets.ts"
import * as Runs from "./runs.ts"

const config = { maxNumCompletedRequests: 60, numConcurrentRequests: 6 } satisfies Partial<LoadTestConfig>

const file = "org-demo-7b_60_8_summary.json"

const agentsOf = (summary: Runs.Row): ReadonlyArray<Runs.Row> => {
  const { agents } = summary
  if (!Array.isArray(agents)) throw new Error("no agents")
  return agents
}

const sorted = (ids: Iterable<unknown>) => [...ids].map(Number).toSorted((a, b) => a - b)

/** Time passes until a moment in the middle of the run. */
const untilTheMiddle = Effect.fnUntraced(function* (live: LiveStats.LiveStats) {
  yield* Fleets.untilStarted(live)
  for (let step = 0; step < 40; step++) {
    yield* TestClock.adjust(25)
    yield* Runs.pause
  }
})

/** Passes time until all is over; what is read and written takes real time. */
const untilOver = Effect.fnUntraced(function* <A, E>(fiber: Parameters<typeof Fleets.untilEnded<A, E>>[0]) {
  for (let step = 0; step < 3_000 && fiber.pollUnsafe() === undefined; step++) {
    yield* TestClock.adjust(25)
    yield* Runs.pause
  }
  return yield* Fleets.untilEnded(fiber)
})

/** The reports of an agent end in a failure once the network is cut. */
const cutBy = (agent: Fleet.Agent, cut: Deferred.Deferred<void>): Fleet.Agent => ({
  ...agent,
  run: (start) =>
    Stream.interruptWhen(
      agent.run(start),
      Effect.andThen(Deferred.await(cut), new Fleet.AgentLost({ agent: agent.name, problem: "the network is cut" }))
    )
})

describe("agents on other machines", () => {
  it.effect("start together, whatever their clocks show, and their rows are collected", () =>
    Runs.inFolder((folder) =>
      Effect.gen(function* () {
        const one = yield* Runs.complete({ config: { ...config, resultsDir: `${folder}/one` }, script: Runs.mixed })
        const { fleet, logs } = yield* Fleets.makeFar({ folder, count: 3, script: Runs.mixed })
        const run = yield* Fleets.runClosed(fleet, { config: { ...config, resultsDir: `${folder}/many` } })
        const result = yield* untilOver(run.fiber)
        assert.deepStrictEqual(result.lost, [])
        assert.deepStrictEqual(
          result.agents.map(({ missingRows, name, verdict }) => [name, missingRows, verdict === null]),
          [0, 1, 2].map((index) => [`agent${index}:7070`, [], false])
        )
        const summary = yield* Runs.readSummary(folder, "many", file)
        const agents = agentsOf(summary)
        assert.strictEqual(summary["partial"], false)
        assert.strictEqual(summary["start_spread_s"], 0)
        for (const [index, agent] of agents.entries()) {
          assert.strictEqual(agent["clock_offset_s"], (Fleets.AHEAD_MILLIS[index] ?? 0) / 1_000)
          assert.strictEqual(agent["clock_round_trip_s"], 0)
          assert.strictEqual(agent["requests"], logs[index]?.opened.length)
        }
        const rows = Runs.byId(yield* Runs.readRecords(folder, "many", "records.ndjson"))
        const rowsOfOne = Runs.byId(yield* Runs.readRecords(folder, "one", "records.ndjson"))
        assert.deepStrictEqual(Runs.column(rows, "request_id"), Runs.ids(60))
        for (const key of ["ttft_s", "number_output_tokens", "number_input_tokens", "error_reason"]) {
          assert.deepStrictEqual(Runs.column(rows, key), Runs.column(rowsOfOne, key), key)
        }
        // Times are those of the run, not of the clock of an agent
        for (const row of rows) {
          assert.isAtLeast(Number(row["sent_offset_s"]), 0)
          assert.isAtMost(Number(row["end_offset_s"]), 60)
          assert.isAtMost(Number(row["start_time"]), 1_200)
        }
        const byAgent = agents.map(({ name }) => rows.filter(({ agent }) => agent === name).length)
        assert.deepStrictEqual(
          byAgent,
          agents.map(({ requests }) => Number(requests))
        )
        assert.strictEqual(result.summary.num_completed_requests, one.result.summary.num_completed_requests)
        assert.deepStrictEqual(result.summary.inter_chunk_latency_s, one.result.summary.inter_chunk_latency_s)
        // Nothing is left with the agents
        const fs = yield* FileSystem.FileSystem
        for (const index of [0, 1, 2]) assert.deepStrictEqual(yield* fs.readDirectory(`${folder}/agent${index}`), [])
      }).pipe(Effect.scoped)
    )
  )

  it.effect("an agent that is gone for good takes along what it held and its rows", () =>
    Runs.inFolder((folder) =>
      Effect.gen(function* () {
        const cut = yield* Deferred.make<void>()
        const dead = Effect.andThen(
          Deferred.await(cut),
          new Fleet.AgentLost({ agent: "agent1:7070", problem: "connection refused" })
        )
        const { fleet } = yield* Fleets.makeFar({
          folder,
          change: (agent, index) =>
            index === 0 ? agent : { ...cutBy(agent, cut), account: () => dead, collect: () => Stream.fromEffect(dead) }
        })
        const run = yield* Fleets.runClosed(fleet, { config: { ...config, resultsDir: `${folder}/many` } })
        yield* untilTheMiddle(run.live)
        yield* Deferred.succeed(cut, undefined)
        const result = yield* untilOver(run.fiber)
        const [lost] = result.lost
        if (lost === undefined) return assert.fail("no agent was lost")
        assert.strictEqual(lost.name, "agent1:7070")
        assert.isAtLeast(lost.requestIds.length, 3)
        const [, other] = result.agents
        assert.isAtLeast(other?.missingRows.length ?? 0, 1)
        const rows = yield* Runs.readRecords(folder, "many", "records.ndjson")
        // Those that it had reported are in the summary, though not among the rows
        assert.strictEqual(rows.length + lost.requestIds.length + (other?.missingRows.length ?? 0), 60)
        assert.strictEqual(result.summary.num_completed_requests, 60 - lost.requestIds.length)
        const summary = yield* Runs.readSummary(folder, "many", file)
        assert.strictEqual(summary["partial"], true)
        assert.deepStrictEqual(summary["lost_requests"], [...lost.requestIds])
        assert.strictEqual(agentsOf(summary)[1]?.["lost"], "the network is cut")
      }).pipe(Effect.scoped)
    )
  )

  it.effect("of an agent that was only cut off, all is known once it is back", () =>
    Runs.inFolder((folder) =>
      Effect.gen(function* () {
        const cut = yield* Deferred.make<void>()
        const { fleet, logs } = yield* Fleets.makeFar({
          folder,
          script: Runs.tenSeconds,
          change: (agent, index) => (index === 0 ? agent : cutBy(agent, cut))
        })
        const run = yield* Fleets.runClosed(fleet, {
          config: { ...config, maxNumCompletedRequests: 12, resultsDir: `${folder}/many` }
        })
        yield* Fleets.untilStarted(run.live)
        for (let step = 0; step < 600; step++) {
          yield* TestClock.adjust(20)
          if (step % 10 === 0) yield* Runs.pause
        }
        yield* Deferred.succeed(cut, undefined)
        const result = yield* untilOver(run.fiber)
        const rows = Runs.byId(yield* Runs.readRecords(folder, "many", "records.ndjson"))
        // The three it had in flight were cancelled; it says so itself
        const sent = new Set(logs.flatMap(({ opened }) => opened.map(({ id }) => id)))
        assert.deepStrictEqual(sorted(Runs.column(rows, "request_id")), sorted(sent))
        const cancelled = rows.filter(({ error_reason: reason }) => reason === "Cancelled")
        assert.deepStrictEqual(
          cancelled.map(({ agent }) => agent),
          ["agent1:7070", "agent1:7070", "agent1:7070"]
        )
        assert.strictEqual(result.summary.num_cancelled_requests, 3)
        assert.strictEqual(result.summary.num_requests_started, sent.size)
        assert.strictEqual(result.agents[1]?.missingRows.length, 0)
        const [lost] = result.lost
        // Those it held and never began
        assert.deepStrictEqual(sorted([...sent, ...(lost?.requestIds ?? [])]).length, 12 - result.notSent)
      }).pipe(Effect.scoped)
    )
  )

  it.effect("an agent that says nothing for five seconds is lost", () =>
    Effect.gen(function* () {
      const { fleet } = yield* Fleets.makeFar({
        folder: "none",
        silent: 1
      })
      const run = yield* Fleets.runClosed(fleet, { config })
      yield* Fleets.untilStarted(run.live)
      yield* TestClock.adjust(5_000)
      const result = yield* Fleets.untilEnded(run.fiber)
      assert.strictEqual(result.lost[0]?.problem, "nothing was heard of it for 5 s")
      assert.strictEqual(result.summary.num_completed_requests + (result.lost[0]?.requestIds.length ?? 0), 60)
    }).pipe(Effect.scoped, Runs.withoutFiles)
  )

  it.effect("an agent that cannot be handed its requests is lost, and not left without them in silence", () =>
    Effect.gen(function* () {
      const { fleet } = yield* Fleets.makeFar({
        folder: "none",
        change: (agent, index) =>
          index === 0
            ? agent
            : {
                ...agent,
                lease: (lease) =>
                  lease.number === 3
                    ? Effect.fail(new Fleet.AgentLost({ agent: agent.name, problem: "the lease was too large" }))
                    : agent.lease(lease)
              }
      })
      const run = yield* Fleets.runClosed(fleet, { config })
      const result = yield* Fleets.untilEnded(run.fiber)
      assert.strictEqual(result.lost[0]?.problem, "the lease was too large")
      assert.strictEqual(result.summary.num_requests_started + (result.lost[0]?.requestIds.length ?? 0), 60)
      assert.strictEqual(result.notSent, 0)
    }).pipe(Effect.scoped, Runs.withoutFiles)
  )

  it.effect("an agent that would ask another server is not used", () =>
    Effect.gen(function* () {
      const { fleet } = yield* Fleets.makeFar({ folder: "none" })
      const run = yield* Fleets.runClosed(
        { ...fleet, job: { ...fleet.job, origin: "http://127.0.0.1:8000" } },
        { config }
      )
      const error = yield* Effect.flip(Fleets.untilEnded(run.fiber))
      assert.include(error.message, "the coordinator asks http://127.0.0.1:8000. Name the server with --api-base")
    }).pipe(Effect.scoped, Runs.withoutFiles)
  )
})
