import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { readdirSync } from "node:fs"
import { gzipSync } from "node:zlib"
import { Ended as EndedWith } from "../../src/cli/ExitCode.ts"
import * as Outcome from "../../src/cli/internal/outcome.ts"
import * as Fleet from "../../src/engine/Fleet.ts"
import { type Account } from "../../src/engine/LoadAgent.ts"
import { type RunResult } from "../../src/engine/RunResult.ts"
import * as SummarySink from "../../src/metrics/SummarySink.ts"
import * as Fleets from "./fleets.ts"
import * as Rogues from "./rogueAgents.ts"
import * as Runs from "./runs.ts"

const REQUESTS = 24

const config = { maxNumCompletedRequests: REQUESTS, numConcurrentRequests: 6 }

const numbers = (values: Iterable<unknown>): ReadonlyArray<number> => [...values].map(Number).toSorted((a, b) => a - b)

interface Ended {
  readonly result: RunResult
  readonly summary: Runs.Row
  readonly rows: ReadonlyArray<Runs.Row>
  readonly sent: ReadonlyArray<ReadonlyArray<number>>
}

/** A run of three agents, of which the second is none of ours. It ends within ten minutes of the test clock. */
const runWith = Effect.fnUntraced(function* (
  folder: string,
  forge: Rogues.Forge,
  options: { readonly chunkTimes?: boolean } = {}
) {
  const { fleet, logs } = yield* Fleets.makeFar({
    folder,
    count: 3,
    change: (agent, index) => (index === 1 ? forge(agent) : agent)
  })
  const run = yield* Fleets.runClosed(fleet, {
    config: { ...config, resultsDir: `${folder}/results` },
    run: { chunkTimes: options.chunkTimes ?? false }
  })
  let step = 0
  for (; step < 6_000 && run.fiber.pollUnsafe() === undefined; step++) {
    yield* TestClock.adjust(step < 1_200 ? 25 : 250)
    if (step % 4 === 0) yield* Runs.pause
  }
  if (run.fiber.pollUnsafe() === undefined) return assert.fail("the run hangs")
  const result = yield* Fiber.join(run.fiber)
  const name = readdirSync(`${folder}/results`).find((file) => file.endsWith("_summary.json")) ?? ""
  return {
    result,
    summary: yield* Runs.readSummary(folder, "results", name),
    rows: yield* Runs.readRecords(folder, "results", "records.ndjson"),
    sent: logs.map(({ opened }) => opened.map(({ id }) => id))
  } satisfies Ended as Ended
})

/** It is lost and named with its requests; the rows of the others are all here, each once; the command ends with 1. */
const isNamedLoss = Effect.fnUntraced(function* ({ result, rows, sent, summary }: Ended, problem: RegExp) {
  const [lost, ...others] = result.lost
  assert.strictEqual(lost?.name, "agent1:7070")
  assert.lengthOf(others, 0)
  assert.match(lost?.problem ?? "", problem)
  assert.strictEqual(summary["partial"], true)
  assert.deepStrictEqual(yield* Effect.exit(Outcome.end(result, false)), Exit.fail(new EndedWith({ exitCode: 1 })))
  const ids = numbers(Runs.column(rows, "request_id"))
  assert.deepStrictEqual(ids, [...new Set(ids)])
  for (const index of [0, 2]) {
    const own = rows.filter(({ agent }) => agent === `agent${index}:7070`)
    assert.deepStrictEqual(numbers(Runs.column(own, "request_id")), numbers(sent[index] ?? []))
  }
  // Every request has a row, or is named as lost or without one, or was not sent at all
  const missing = result.agents[1]?.missingRows ?? []
  const named = new Set([...ids, ...(lost?.requestIds ?? []), ...missing])
  assert.strictEqual(named.size, ids.length + (lost?.requestIds.length ?? 0) + missing.length)
  assert.strictEqual(named.size + result.notSent, REQUESTS)
  assert.deepStrictEqual(summary["lost_requests"], [...(lost?.requestIds ?? [])])
  const [, agent] = Array.isArray(summary["agents"]) ? summary["agents"] : []
  assert.deepStrictEqual(agent.missing_row_ids, [...missing])
  for (const number of [result.summary.total_output_tokens, result.summary.mean_output_throughput_token_per_s]) {
    assert.isTrue(number === null || (Number.isFinite(number) && number >= 0))
  }
  return lost?.requestIds ?? []
})

const unknown = (agent: Fleet.Agent) => () =>
  Effect.fail(new Fleet.AgentLost({ agent: agent.name, problem: "it knows nothing of this run" }))

interface Case {
  readonly what: string
  readonly forge: Rogues.Forge
  readonly problem: RegExp
}

const zeroes = new Uint8Array(30 * 1024 * 1024)

const ofReports: ReadonlyArray<Case> = [
  {
    what: "a summary that is none",
    forge: Rogues.ended((one) => ({ ...one, summary: Uint8Array.of(1, 2, 3) })),
    problem: /cannot be true: its summary is of something else/
  },
  {
    what: "a summary of more requests than it reports",
    forge: Rogues.summary((sink) => {
      sink.parts.totals.completed += 1_000
    }),
    problem: /10\d\d requests of \d/
  },
  {
    what: "a summary of fewer requests than it reports",
    forge: Rogues.ended((one) => ({ ...one, summary: SummarySink.pack(new SummarySink.SummarySink()) })),
    problem: /0 requests of \d/
  },
  {
    what: "negative sums",
    forge: Rogues.summary((sink) => {
      sink.parts.totals.outputTokens = -5
    }),
    problem: /its summary is of something else/
  },
  {
    what: "sums that are no numbers",
    forge: Rogues.summary((sink) => {
      sink.parts.totals.requestSeconds = Number.NaN
    }),
    problem: /a number is not finite/
  },
  {
    what: "sums without end",
    forge: Rogues.summary((sink) => {
      sink.parts.totals.requestSeconds = 1e300
    }),
    problem: /latencies of 1e\+300 s in all/
  },
  {
    what: "negative durations",
    forge: Rogues.summary((sink) => {
      for (let index = 0; index < 1; index++) sink.parts.columns.tls_s.push(-1)
    }),
    problem: /values from -1 to -1 \(tls_s\)/
  },
  {
    what: "durations longer than the run",
    forge: Rogues.summary((sink) => {
      sink.parts.columns.connect_s.push(1e15)
    }),
    problem: /values from 1000000000000000 to/
  },
  {
    what: "more values than requests",
    forge: Rogues.summary((sink) => {
      for (let index = 0; index < 5_000; index++) sink.parts.columns.ttft_s.push(0.1)
    }),
    problem: /50\d\d values of \d+ requests \(ttft_s\)/
  },
  {
    what: "requests that ended before they were sent",
    forge: Rogues.summary((sink) => {
      sink.parts.flights.add(5, 1)
    }),
    problem: /were sent|ended before/
  },
  {
    what: "a huge summary",
    forge: Rogues.ended((one) => ({ ...one, summary: zeroes.slice() })),
    problem: /31457280 bytes for \d+ requests/
  },
  {
    what: "a request that was never given to it",
    forge: Rogues.ended((one) => ({ ...one, ids: [...one.ids.slice(1), 9_999] })),
    problem: /request 9999 was not given to it/
  },
  {
    what: "a request of another agent",
    forge: Rogues.ended((one) => ({ ...one, ids: [...one.ids.slice(1), 1] })),
    problem: /request 1 was not given to it/
  },
  {
    what: "a request twice in one report",
    forge: Rogues.ended((one) => ({ ...one, ids: one.ids.map(() => one.ids[0] ?? 0) })),
    problem: /request \d+ ended twice/
  },
  {
    what: "a request again in the next report",
    forge: (agent) => {
      let first: number | undefined
      return Rogues.ended((one) => {
        const again = first
        first ??= one.ids[0]
        return again === undefined ? one : { ...one, ids: [again, ...one.ids.slice(1)] }
      })(agent)
    },
    problem: /request \d+ was not given to it, or had ended before/
  },
  {
    what: "more requests than it was given",
    forge: Rogues.reports((report) => ({ ...report, taken: 1e6 })),
    problem: /it began 1000000 requests after \d+, and was given/
  },
  {
    what: "fewer than before",
    forge: Rogues.reports((report) => ({ ...report, taken: -1 })),
    problem: /it began -1 requests/
  },
  {
    what: "more in flight than it has begun",
    forge: Rogues.reports((report) => ({ ...report, inFlight: 50 })),
    problem: /50 of its requests are in flight, and it began \d/
  },
  {
    what: "more in flight than it has places",
    forge: Rogues.reports((report) => ({ ...report, taken: 3, inFlight: 3 })),
    problem: /3 of its requests are in flight, and it has 2 places/
  },
  {
    what: "leases that it was never sent",
    forge: Rogues.reports((report) => ({ ...report, leases: 99 })),
    problem: /it had 99 leases, and was sent \d/
  },
  {
    what: "requests that it left out and did not count",
    forge: Rogues.reports((report) => ({ ...report, leftOut: [2] })),
    problem: /it does not name what it left out|was not given to it|ended twice/
  },
  {
    what: "counters below zero",
    forge: Rogues.reports((report) => ({ ...report, counters: { ...report.counters, chunks: -7 } })),
    problem: /a counter is no count/
  },
  {
    what: "counters of more than it began",
    forge: Rogues.reports((report) => ({ ...report, counters: { ...report.counters, completed: 500 } })),
    problem: /more of its requests have ended than it began/
  },
  {
    what: "that it is done when it is not",
    forge: Rogues.reports((report) => ({ ...report, loopEnded: true })),
    problem: /it is done, and was not told that there is no more/
  },
  {
    what: "how other requests left it",
    forge: Rogues.reports((report) =>
      report.dispatch === null ? report : { ...report, dispatch: Rogues.dispatchOf(1_234) }
    ),
    problem: /it says how 1234 requests left it, and \d+ did/
  },
  {
    what: "that it was well after the end of the run",
    forge: Rogues.reports((report) => ({
      ...report,
      health: {
        threads: 1,
        slice_s: 1,
        slices: Array.from({ length: 1_000 }, (_, index) => slice(index)),
        loop_delay: Uint8Array.of(1),
        cpu_count: 1,
        open_file_limit: null
      }
    })),
    problem: /it says what cannot be of its own health/
  },
  {
    what: "the same without end, as quick as it can",
    forge: Rogues.repeats(1),
    problem: /hundreds of reports in a second say nothing new/
  },
  {
    what: "the same without end, once in a while",
    forge: Rogues.repeats(1_000),
    problem: /it did not end its run within 30 s after it had nothing more to send/
  }
]

const slice = (index: number) => ({
  from_s: index,
  to_s: index + 1,
  observed_s: 1,
  loop_delay_p50_s: 0,
  loop_delay_p99_s: 0,
  loop_delay_max_s: 0,
  loop_utilization: 0,
  events: 0,
  events_waiting: 0,
  gc_count: 0,
  gc_total_s: 0,
  gc_longest_s: 0,
  process_cores: 0,
  machine_cpu: 0,
  steal: 0,
  connections: 0,
  rss_bytes: 0,
  free_memory: 1
})

const ofRows: ReadonlyArray<Case> = [
  {
    what: "a row that is no JSON",
    forge: Rogues.lines("records", ([first = "", ...others]) => [first, "{{{", ...others]),
    problem: /cannot be its rows: a row is no record of a request/
  },
  {
    what: "JSON that is no row",
    forge: Rogues.lines("records", ([first = ""]) => [first, JSON.stringify({ request_id: 2 })]),
    problem: /a row is no record of a request/
  },
  {
    what: "a row with more in it",
    forge: Rogues.firstRow((row) => ({ ...row, more: "x".repeat(1_000) })),
    problem: /a row is no record of a request/
  },
  {
    what: "the row of a request that was never given to it",
    forge: Rogues.firstRow((row) => ({ ...row, request_id: 9_999, x_request_id: "run1-9999" })),
    problem: /there is a row of request 9999, which it did not report/
  },
  {
    what: "the row of a request of another agent",
    forge: Rogues.firstRow((row) => ({ ...row, request_id: 1, x_request_id: "run1-1" })),
    problem: /there is a row of request 1, which it did not report/
  },
  {
    what: "a row in the name of another agent",
    forge: Rogues.firstRow((row) => ({ ...row, agent: "agent0:7070" })),
    problem: /the row of request \d+ is of another agent or run/
  },
  {
    what: "a row of another run",
    forge: Rogues.firstRow((row) => ({ ...row, x_request_id: "other-1" })),
    problem: /the row of request \d+ is of another agent or run/
  },
  {
    what: "a row twice",
    forge: Rogues.lines("records", ([first = "", ...others]) => [first, first, ...others]),
    problem: /the row of request \d+ comes twice/
  },
  {
    what: "its rows again and again without end",
    forge: Rogues.pieces((all) => Stream.forever(all)),
    problem: /the row of request \d+ comes twice/
  },
  {
    what: "pieces of nothing without end",
    forge: Rogues.pieces(() => Stream.forever(Stream.make(Rogues.pieceOf("")))),
    problem: /a piece of 0 bytes/
  },
  {
    what: "pieces of empty lines without end",
    forge: Rogues.pieces(() => Stream.forever(Stream.make(Rogues.pieceOf("\n")))),
    problem: /a row is no record of a request/
  },
  {
    what: "a row that is cut off",
    forge: Rogues.pieces((all) => Stream.map(all, (piece) => Rogues.pieceOf(Rogues.textOf(piece).slice(0, -5)))),
    problem: /a row is cut off/
  },
  {
    what: "what is not compressed",
    forge: Rogues.pieces(() => Stream.make({ bytes: Uint8Array.of(1, 2, 3), size: 3, count: 1 })),
    problem: /incorrect header check/
  },
  {
    what: "a piece that holds more than it says",
    forge: Rogues.pieces(() => Stream.make({ bytes: Rogues.owned(gzipSync(zeroes)), size: 100, count: 1 })),
    problem: /Cannot create a Buffer larger than/
  },
  {
    what: "a piece that says that it holds more than fits",
    forge: Rogues.pieces(() => Stream.make({ bytes: Rogues.owned(gzipSync(zeroes)), size: 1e15, count: 1 })),
    problem: /a piece of 1000000000000000 bytes/
  },
  {
    what: "a piece that holds less than it says",
    forge: Rogues.pieces((all) => Stream.map(all, (piece) => ({ ...piece, size: piece.size + 1 }))),
    problem: /a piece of other than \d+ bytes/
  }
]

const ofChunks: ReadonlyArray<Case> = [
  {
    what: "chunk times that are none",
    forge: Rogues.pieces((all, log) => (log === "chunks" ? Stream.make(Rogues.pieceOf("garbage\n")) : all)),
    problem: /its chunk times are damaged/
  },
  {
    what: "chunk times twice",
    forge: Rogues.pieces((all, log) => (log === "chunks" ? Stream.concat(all, all) : all)),
    problem: /request \d+ was not given to it, or had ended before/
  }
]

describe.concurrent("an agent that is none of ours", { timeout: 60_000 }, () => {
  it.effect.each(ofReports)("is lost when it reports $what", ({ forge, problem }) =>
    Runs.inFolder((folder) =>
      Effect.gen(function* () {
        yield* isNamedLoss(yield* runWith(folder, forge), problem)
      }).pipe(Effect.scoped)
    )
  )

  it.effect.each(ofRows)("is lost when it hands over $what", ({ forge, problem, what }) =>
    Runs.inFolder((folder) =>
      Effect.gen(function* () {
        const ended = yield* runWith(folder, forge)
        assert.deepStrictEqual(yield* isNamedLoss(ended, problem), [])
        // What it handed over before is here
        const missing = ended.result.agents[1]?.missingRows.length ?? 0
        assert.strictEqual(missing > 0, what !== "its rows again and again without end")
      }).pipe(Effect.scoped)
    )
  )

  it.effect.each(ofChunks)("is lost when it hands over $what", ({ forge, problem }) =>
    Runs.inFolder((folder) =>
      Effect.gen(function* () {
        const ended = yield* runWith(folder, forge, { chunkTimes: true })
        assert.deepStrictEqual(yield* isNamedLoss(ended, problem), [])
      }).pipe(Effect.scoped)
    )
  )

  it.effect("is lost when it stops early, with all that it has not done", () =>
    Runs.inFolder((folder) =>
      Effect.gen(function* () {
        const ended = yield* runWith(folder, (agent) => Rogues.endsAfter(2)({ ...agent, account: unknown(agent) }))
        const lost = yield* isNamedLoss(ended, /it ended its run, and of \d+ requests it was given it said nothing/)
        assert.isAtLeast(lost.length, 1)
      }).pipe(Effect.scoped)
    )
  )

  it.effect("is lost when it never ends what it has begun, once the time of the test is over", () =>
    Runs.inFolder((folder) =>
      Effect.gen(function* () {
        const ended = yield* runWith(folder, (agent) =>
          Rogues.repeats(1_000)(
            Rogues.reports((report) => ({ ...report, ended: null, loopEnded: false }))({
              ...agent,
              account: unknown(agent)
            })
          )
        )
        const lost = yield* isNamedLoss(ended, /it did not end its run within 30 s/)
        assert.isAtLeast(lost.length, 2)
      }).pipe(Effect.scoped)
    )
  )

  it.effect("is named with the requests whose rows it keeps back", () =>
    Runs.inFolder((folder) =>
      Effect.gen(function* () {
        const { result, rows, summary } = yield* runWith(
          folder,
          Rogues.lines("records", (all) => all.slice(3))
        )
        assert.strictEqual(summary["partial"], true)
        assert.lengthOf(result.agents[1]?.missingRows ?? [], 3)
        assert.lengthOf(rows, REQUESTS - 3)
        assert.include(
          Outcome.remarks(result, { flag: "--timeout", seconds: 90 }).join("\n"),
          "agent1:7070 did not hand over the rows of 3 requests"
        )
        assert.deepStrictEqual(
          yield* Effect.exit(Outcome.end(result, false)),
          Exit.fail(new EndedWith({ exitCode: 1 }))
        )
      }).pipe(Effect.scoped)
    )
  )

  const accounts: ReadonlyArray<{
    readonly what: string
    readonly forge: (account: Account) => Account
    readonly problem: RegExp
  }> = [
    {
      what: "requests that were never given to it",
      forge: (account) => ({ ...account, ids: [...account.ids, 9_999] }),
      problem: /request 9999 was not given to it/
    },
    {
      what: "fewer requests than before",
      forge: (account) => ({ ...account, ids: account.ids.slice(1) }),
      problem: /request \d+ had ended and is missing/
    },
    {
      what: "requests twice",
      forge: (account) => ({ ...account, ids: [...account.ids, ...account.ids] }),
      problem: /request \d+ ended twice/
    },
    {
      what: "a summary of something else",
      forge: (account) => {
        const sink = Result.getOrThrow(SummarySink.unpack(account.summary))
        sink.parts.totals.completed += 7
        return { ...account, summary: SummarySink.pack(sink) }
      },
      problem: /its summary is of something else/
    },
    {
      what: "counters below zero",
      forge: (account) => ({ ...account, counters: { ...account.counters, started: -1 } }),
      problem: /a counter is no count/
    }
  ]
  it.effect.each(accounts)("is not believed when it was cut off and comes back with $what", ({ forge, problem }) =>
    Runs.inFolder((folder) =>
      Effect.gen(function* () {
        const cut = yield* Deferred.make<void>()
        let requests = 0
        const ended = yield* runWith(folder, (agent) => ({
          ...agent,
          run: (start) =>
            agent.run(start).pipe(
              Stream.tap((report) => {
                requests += report.ended?.ids.length ?? 0
                return requests >= 4 ? Deferred.succeed(cut, undefined) : Effect.void
              }),
              Stream.interruptWhen(
                Effect.andThen(
                  Deferred.await(cut),
                  new Fleet.AgentLost({ agent: agent.name, problem: "the network is cut" })
                )
              )
            ),
          account: (session) => Effect.map(agent.account(session), forge)
        }))
        const lost = yield* isNamedLoss(ended, problem)
        assert.isAtLeast(lost.length, 1)
        assert.match(ended.result.lost[0]?.problem ?? "", /^the network is cut; then what it reports cannot be true/)
      }).pipe(Effect.scoped)
    )
  )
})
