import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Agents from "../internal/Agents.ts"
import { BenchError } from "../internal/BenchError.ts"
import * as Coordinator from "../internal/Coordinator.ts"
import { type PartResult } from "../internal/Part.ts"
import * as Replays from "../internal/Replays.ts"
import * as Row from "../internal/Row.ts"
import * as Server from "../internal/Server.ts"
import { Setup } from "../internal/Setup.ts"
import { quantile, slope } from "../internal/Statistics.ts"
import * as Tap from "../internal/Tap.ts"
import * as Watch from "../internal/Watch.ts"

/** How many agents share the load. */
const counts = [1, 3, 6] as const
/** The fleet that is set beside one process, and the one whose rows are counted. */
const usual = 3

/** What one process carries easily. */
const full: Replays.Load = {
  rows: 1_500,
  perSecond: 100,
  inputTokens: 200,
  outputTokens: 16,
  pace: { ttftMs: 50, itlMs: 20 }
}

const pace: Server.Pace = { ttftMs: 10, itlMs: 2 }

/** Many short requests, whose rows are collected at the end. */
const short = {
  requests: 20_000,
  concurrency: 60,
  inputTokens: 50,
  outputTokens: 4,
  pace
}

/** By then the code of a process that has just been started is warm. */
const settledSeconds = 5

/** The bars of `replay`, which are for five times the rate. */
const bars = { p50: { atMost: 0.7 }, p99: { atMost: 5 } }

const scheduled = (load: Replays.Load, schedule: string, origin: string): ReadonlyArray<string> => [
  "--api-base",
  origin,
  "--model",
  Server.modelName(load.pace),
  "--schedule-file",
  schedule
]

const atOnce = (requests: number, origin: string): ReadonlyArray<string> => {
  const flags = {
    "api-base": origin,
    model: Server.modelName(short.pace),
    "num-concurrent-requests": short.concurrency,
    "max-num-completed-requests": requests,
    "mean-input-tokens": short.inputTokens,
    "stddev-input-tokens": 0,
    "mean-output-tokens": short.outputTokens,
    "stddev-output-tokens": 0,
    timeout: "1h"
  }
  return Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)])
}

const distribution = (values: ReadonlyArray<number>) => ({ p50: quantile(values, 0.5), p99: quantile(values, 0.99) })

/** Runs `flags` with as many agents, or with none: then one process sends. With `taps` what they say is counted on its way. */
const runWith = Effect.fnUntraced(function* (
  agents: number,
  flags: ReadonlyArray<string>,
  expected: number,
  options: { readonly server: Server.Process; readonly taps: boolean }
) {
  const watch = yield* Watch.make
  watch.add(options.server.pid)
  watch.add(process.pid)
  const started = agents === 0 ? null : yield* Agents.start(agents, watch)
  const tap = started === null || !options.taps ? null : yield* Tap.make(started.agents)
  const way =
    started === null ? [] : Coordinator.byAgents({ ...started, ...(tap === null ? {} : { agents: tap.agents }) })
  const name = agents === 0 ? "llmperf" : `llmperf with ${agents} agents`
  const run = yield* Coordinator.run({ name, flags: [...flags, ...way] }, watch)
  const failed = run.records.filter(({ error_code }) => error_code !== null).length
  if (run.records.length !== expected || failed > 0) {
    return yield* new BenchError({
      description: `${name} has ${run.records.length} rows of ${expected}, ${failed} of them failed`
    })
  }
  const truth = yield* Server.truth(options.server.origin, expected)
  return { run, truth, room: Watch.room(watch, run.span), messages: tap?.messages ?? [], watch }
})

/** The open loop: what the coordinator spends, and when requests leave. */
const paced = Effect.fnUntraced(function* (
  agents: number,
  load: Replays.Load,
  schedule: string,
  server: Server.Process
) {
  const { room, run, truth, watch } = yield* runWith(agents, scheduled(load, schedule, server.origin), load.rows, {
    server,
    taps: false
  })
  const ttft = distribution(run.records.map((record) => (record.ttft_s ?? 0) * 1e3))
  const served = distribution(truth.map(({ recv, tokens }) => ((tokens[0] ?? 0) - recv) * 1e3))
  const seconds = run.span.to - run.span.from
  // Once the code is warm
  const warm: Watch.Span = { from: run.span.from + seconds / 3, to: run.span.to }
  const cpu = (which: keyof Watch.Used) => (Watch.used(watch, warm, run.pid, which) * 1e3) / (warm.to - warm.from)
  const clocks = run.summary.agents ?? []
  return {
    agents,
    lagMs: distribution(run.records.map((record) => (record.dispatch_lag_s ?? 0) * 1e3)),
    settledLagMs: distribution(
      run.records.flatMap(({ dispatch_lag_s, intended_offset_s }) =>
        intended_offset_s < settledSeconds ? [] : [(dispatch_lag_s ?? 0) * 1e3]
      )
    ),
    late: run.records.filter((record) => (record.dispatch_lag_s ?? 0) > 0.01).length,
    addedTtftMs: { p50: ttft.p50 - served.p50, p99: ttft.p99 - served.p99 },
    cpuMillisPerSecond: { main: cpu("main"), all: cpu("all") },
    verdict: run.verdict,
    startSpreadMs: (run.summary.start_spread_s ?? 0) * 1e3,
    clockOffsetMs: Math.max(0, ...clocks.map((clock) => Math.abs(clock.clock_offset_s) * 1e3)),
    clockRoundTripMs: Math.max(0, ...clocks.map((clock) => clock.clock_round_trip_s * 1e3)),
    room
  }
}, Effect.scoped)

type Paced = Effect.Success<ReturnType<typeof paced>>

/** The closed loop: how long the results take once everything has ended. */
const saved = Effect.fnUntraced(function* (agents: number, requests: number, server: Server.Process) {
  const { room, run } = yield* runWith(agents, atOnce(requests, server.origin), requests, { server, taps: false })
  return { agents, savedSeconds: run.savedSeconds, runSeconds: run.span.to - run.span.from, room }
}, Effect.scoped)

/** Both loads once more through ways that count: what the agents say while they send, and what their rows come to. */
const counted = Effect.fnUntraced(function* (flags: ReadonlyArray<string>, expected: number, server: Server.Process) {
  const { messages, run } = yield* runWith(usual, flags, expected, { server, taps: true })
  const from = (call: string) => messages.filter((message) => message.to === "coordinator" && message.call === call)
  const to = (call: string) => messages.filter((message) => message.to === "agent" && message.call === call)
  const reports = Tap.sum(from("Run").filter(({ kind }) => kind === "Chunk"))
  const seconds = run.span.to - run.span.from
  return {
    seconds,
    requests: expected,
    reports,
    reportsPerSecond: reports.count / seconds / usual,
    rows: Tap.sum(from("Collect")),
    collectSeconds: Tap.sum(messages.filter(({ call }) => call === "Collect")).seconds,
    leases: Tap.sum(to("Lease")),
    toCoordinator: Tap.sum(messages.filter((message) => message.to === "coordinator")),
    toAgents: Tap.sum(messages.filter((message) => message.to === "agent")),
    rowBytes: run.rowBytes
  }
}, Effect.scoped)

const nameOf = (agents: number): string =>
  agents === 0 ? "one process" : agents === 1 ? "1 agent" : `${agents} agents`

/** What agents in processes of their own cost whoever coordinates them, and what they add to a run of one process. */
export const run = Effect.gen(function* () {
  const { pairs, replayRows } = yield* Setup
  const load: Replays.Load = { ...full, rows: Math.min(full.rows, replayRows ?? full.rows) }
  const requests = Math.min(short.requests, replayRows ?? short.requests)
  const schedule = yield* Replays.writeSchedule(load)
  const server = yield* Server.startProcess({ truth: true })

  const rounds: Array<ReadonlyArray<Paced>> = []
  const endings: Array<
    readonly [one: Effect.Success<ReturnType<typeof saved>>, fleet: Effect.Success<ReturnType<typeof saved>>]
  > = []
  for (let pair = 1; pair <= pairs; pair++) {
    yield* Console.error(`fleet: pair ${pair} of ${pairs}`)
    rounds.push(yield* Effect.forEach([0, ...counts], (agents) => paced(agents, load, schedule, server)))
    endings.push([yield* saved(0, requests, server), yield* saved(usual, requests, server)])
  }
  yield* Console.error("fleet: counting bytes")
  const talk = yield* counted(scheduled(load, schedule, server.origin), load.rows, server)
  const bulk = yield* counted(atOnce(requests, server.origin), requests, server)

  const each = (agents: number, of: (run: Paced) => number): ReadonlyArray<number> =>
    rounds.map((round) => {
      const found = round.find((one) => one.agents === agents)
      return found === undefined ? 0 : of(found)
    })
  const judged = (agents: number, limit: Row.Limit): Row.Limit =>
    load.rows >= full.rows &&
    rounds.every((round) => round.every((one) => one.agents !== agents || Watch.hasRoom(one.room)))
      ? limit
      : {}
  const slopes = (which: keyof Watch.Used) =>
    rounds.map((round) =>
      slope(
        round.flatMap(({ agents, cpuMillisPerSecond }) =>
          agents === 0 ? [] : [[agents, cpuMillisPerSecond[which]] as const]
        )
      )
    )
  const lag = (agents: number, q: "p50" | "p99") =>
    Row.absolute(
      `due to written to the socket, ${q}, ${nameOf(agents)}`,
      "ms",
      each(agents, ({ lagMs }) => lagMs[q]),
      judged(agents, bars[q]),
      each(0, ({ lagMs }) => lagMs[q])
    )
  const added = (what: string, of: (run: Paced) => number) =>
    Row.difference(`${what}, ${nameOf(usual)} and one process`, "ms", each(usual, of), each(0, of))
  const once = (what: string, unit: string, value: number) => Row.absolute(what, unit, [value])
  const all = [0, ...counts]
  const result: PartResult = {
    name: "fleet",
    sides: ["llmperf", "one process"],
    settings:
      `Open loop: ${load.rows} rows, ${load.perSecond} a second, ${load.inputTokens} tokens in, ${load.outputTokens} out, ` +
      `${load.pace.ttftMs} ms to the first and ${load.pace.itlMs} ms to every other token, by one process and by ${counts.join(", ")} agents. ` +
      `Closed loop: ${requests} requests, ${short.concurrency} at a time, ${short.inputTokens} tokens in, ${short.outputTokens} out, ` +
      `${short.pace.ttftMs} and ${short.pace.itlMs} ms, by one process and by ${usual} agents; bytes are counted in runs of their own, by ${usual} agents. ` +
      `Agents are processes of their own on loopback, without TLS; server with --truth. ` +
      `${Watch.rule}; those of the open loop: ` +
      all
        .map((agents) =>
          Watch.describe(
            nameOf(agents),
            rounds.flatMap((round) => round.flatMap((one) => (one.agents === agents ? [one.room] : [])))
          )
        )
        .join("; "),
    rows: [
      ...counts.map((agents) =>
        Row.absolute(
          `CPU of the coordinator per second, ${nameOf(agents)}`,
          "ms",
          each(agents, ({ cpuMillisPerSecond }) => cpuMillisPerSecond.all),
          {},
          each(0, ({ cpuMillisPerSecond }) => cpuMillisPerSecond.all)
        )
      ),
      ...counts.map((agents) =>
        Row.absolute(
          `of it the first thread, ${nameOf(agents)}`,
          "ms",
          each(agents, ({ cpuMillisPerSecond }) => cpuMillisPerSecond.main),
          {},
          each(0, ({ cpuMillisPerSecond }) => cpuMillisPerSecond.main)
        )
      ),
      Row.absolute("one more agent costs it, per second", "ms", slopes("all")),
      Row.absolute("of it the first thread", "ms", slopes("main")),
      Row.absolute(
        "the same, for each report",
        "ms",
        slopes("main").map((perSecond) => perSecond / talk.reportsPerSecond)
      ),
      ...all.flatMap((agents) => [lag(agents, "p50"), lag(agents, "p99")]),
      ...all.map((agents) =>
        Row.absolute(
          `later than 10 ms, ${nameOf(agents)}`,
          "rows",
          each(agents, (run) => run.late)
        )
      ),
      added("lag p50", ({ lagMs }) => lagMs.p50),
      added("lag p99", ({ lagMs }) => lagMs.p99),
      added(`lag p99 after the first ${settledSeconds} s`, ({ settledLagMs }) => settledLagMs.p99),
      added("TTFT p50 added to the server's", ({ addedTtftMs }) => addedTtftMs.p50),
      added("TTFT p99 added to the server's", ({ addedTtftMs }) => addedTtftMs.p99),
      ...counts.flatMap((agents) =>
        agents === 1
          ? []
          : [
              Row.absolute(
                `start spread, ${nameOf(agents)}`,
                "ms",
                each(agents, ({ startSpreadMs }) => startSpreadMs)
              )
            ]
      ),
      Row.absolute(
        "clock offset at most, as told",
        "ms",
        each(usual, ({ clockOffsetMs }) => clockOffsetMs)
      ),
      Row.absolute(
        "round trip at most",
        "ms",
        each(usual, ({ clockRoundTripMs }) => clockRoundTripMs)
      ),
      once(`open loop, ${nameOf(usual)}: reports of an agent per second`, "", talk.reportsPerSecond),
      once("bytes of a report", "B", talk.reports.bytes / Math.max(1, talk.reports.count)),
      once(
        "bytes to the coordinator before rows, per request",
        "B",
        (talk.toCoordinator.bytes - talk.rows.bytes) / load.rows
      ),
      once("bytes of leases, per request", "B", talk.leases.bytes / load.rows),
      once("rows and sent log, as collected, per request", "B", talk.rows.bytes / load.rows),
      once("the same in the files, per request", "B", (talk.rowBytes.records + talk.rowBytes.sent) / load.rows),
      once(`closed loop, ${nameOf(usual)}: reports of an agent per second`, "", bulk.reportsPerSecond),
      once("bytes of a report", "B", bulk.reports.bytes / Math.max(1, bulk.reports.count)),
      once(
        "bytes to the coordinator before rows, per request",
        "B",
        (bulk.toCoordinator.bytes - bulk.rows.bytes) / requests
      ),
      once("rows as collected, per request", "B", bulk.rows.bytes / requests),
      once("the same in the file, per request", "B", bulk.rowBytes.records / requests),
      once("how many times smaller", "×", bulk.rowBytes.records / bulk.rows.bytes),
      once("first question for rows to the last byte of them", "s", bulk.collectSeconds),
      Row.difference(
        "last answer to the end of the process",
        "s",
        endings.map(([, fleet]) => fleet.savedSeconds),
        endings.map(([one]) => one.savedSeconds)
      )
    ],
    runs: [
      ...rounds.flatMap((round) => round.map((figures) => ({ load: "open", ...figures }))),
      ...endings.flatMap((sides) => sides.map((figures) => ({ load: "closed", ...figures }))),
      { counted: "open", ...talk },
      { counted: "closed", ...bulk }
    ]
  }
  return result
}).pipe(Effect.scoped)
