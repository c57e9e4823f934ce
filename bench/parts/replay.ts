import * as OperatingSystem from "node:os"
import * as Effect from "effect/Effect"
import { BenchError } from "../internal/BenchError.ts"
import * as Clocks from "../internal/Clocks.ts"
import { alternate, type PartResult } from "../internal/Part.ts"
import * as Replays from "../internal/Replays.ts"
import * as Row from "../internal/Row.ts"
import * as Server from "../internal/Server.ts"
import { Setup } from "../internal/Setup.ts"
import { quantile } from "../internal/Statistics.ts"

/** How the summary of a run counts a late request. */
const lateMs = 10

/** The lag of a replay: from when a row was due until it was written to its socket. In ms. */
const lagOf = ({ rows }: Replays.Replay) => {
  const lags = rows.flatMap(({ due, written }) => (written === null ? [] : [(written - due) * 1e3]))
  return {
    p50: quantile(lags, 0.5),
    p99: quantile(lags, 0.99),
    max: quantile(lags, 1),
    mean: lags.reduce((sum, lag) => sum + lag, 0) / Math.max(1, lags.length),
    late: lags.filter((lag) => lag > lateMs).length
  }
}

/** The server's rows by the number at the end of the request's id. */
const byRow = (truth: ReadonlyArray<Server.Truth>): ReadonlyMap<number, Server.Truth> =>
  new Map(truth.map((known) => [Number(/-(\d+)$/.exec(known.rid)?.[1]), known]))

/** How many requests the server had at the same moment, at most. */
const mostInFlight = (truth: ReadonlyArray<Server.Truth>): number => {
  const begins = truth.map(({ recv }) => recv).toSorted((a, b) => a - b)
  const ends = truth.map(({ recv, tokens }) => tokens.at(-1) ?? recv).toSorted((a, b) => a - b)
  let most = 0
  let ended = 0
  for (const [begun, at] of begins.entries()) {
    while ((ends[ended] ?? Infinity) < at) ended++
    most = Math.max(most, begun + 1 - ended)
  }
  return most
}

/** What the server says of a replay, on the client's clock: when each row arrived, less when it was due, in ms. */
const arrivalOf = Effect.fnUntraced(function* (
  { rows, startEpochSeconds: start }: Replays.Replay,
  truth: ReadonlyMap<number, Server.Truth>
) {
  const known = rows.flatMap((row, index) => {
    const truthOfRow = truth.get(index + 1)
    return truthOfRow === undefined ? [] : [{ ...row, truth: truthOfRow }]
  })
  const shift = Clocks.shift(
    known.flatMap(({ written, firstToken, truth: { recv, tokens } }) => {
      const [firstSent] = tokens
      return written === null || firstToken === null || firstSent === undefined
        ? []
        : [{ written: start + written, received: recv, firstSent, firstReceived: start + firstToken }]
    })
  )
  if (shift === null) return yield* new BenchError({ description: "No request was answered" })
  const lags = known.map(({ due, truth: { recv } }) => (recv - shift.seconds - start - due) * 1e3)
  return {
    p50: quantile(lags, 0.5),
    p99: quantile(lags, 0.99),
    clockShiftMs: shift.seconds * 1e3,
    clockUncertaintyMs: shift.uncertainty * 1e3
  }
})

/** Processor time of the whole machine but for this process, which reads results, in seconds. */
const machineCpuSeconds = Effect.sync(() => {
  const { user, system } = process.cpuUsage()
  const busyMs = OperatingSystem.cpus().reduce(
    (sum, { times }) => sum + times.user + times.nice + times.sys + times.irq,
    0
  )
  return busyMs / 1e3 - (user + system) / 1e6
})

const measure = Effect.fnUntraced(function* <R>(
  side: Effect.Effect<Replays.Replay, BenchError, R>,
  server: Server.Process
) {
  const machineBefore = yield* machineCpuSeconds
  const serverBefore = yield* Server.cpuSeconds(server)
  const replay = yield* side
  const loadAverage = OperatingSystem.loadavg()[0] ?? 0
  const serverCpuSeconds = (yield* Server.cpuSeconds(server)) - serverBefore
  const machineSeconds = (yield* machineCpuSeconds) - machineBefore
  const truth = yield* Server.knownTruth(server.origin, replay.rows.length)
  const truthByRow = byRow(truth)
  const { begin, end, exit, peakResidentBytes } = replay.report
  const from = begin ?? exit
  const to = end ?? exit
  return {
    lag: lagOf(replay),
    arrival: yield* arrivalOf(replay, truthByRow),
    lost: replay.rows.filter(({ answered }, index) => !answered || truthByRow.get(index + 1)?.ok !== true).length,
    inFlight: mostInFlight(truth),
    peakResidentBytes,
    runWallSeconds: to.wallSeconds - from.wallSeconds,
    runCpuSeconds: to.cpuSeconds - from.cpuSeconds,
    processCpuSeconds: exit.cpuSeconds,
    serverCpuSeconds,
    foreignCores: Math.max(0, machineSeconds - exit.cpuSeconds - serverCpuSeconds) / exit.wallSeconds,
    loadAverage
  }
})

type Figures = Effect.Success<ReturnType<typeof measure>>

interface Bars {
  readonly p50?: Row.Limit
  readonly p99?: Row.Limit
  readonly mean?: Row.Limit
  readonly peak?: Row.Limit
}

/** Bars are for the load in full. */
const part = (name: string, full: Replays.Load, bars: Bars) =>
  Effect.gen(function* () {
    const { replayRows } = yield* Setup
    const load: Replays.Load = { ...full, rows: replayRows ?? full.rows }
    const judged = load.rows >= full.rows ? bars : {}
    const schedule = yield* Replays.writeSchedule(load)
    const server = yield* Server.startProcess({ truth: true })
    const { ours, other } = yield* alternate(name, {
      ours: measure(Replays.ours(load, schedule, server.origin), server),
      other: measure(Replays.handwritten(load, schedule, server.origin), server)
    })

    const figure = (what: string, unit: string, of: (figures: Figures) => number, limit: Row.Limit = {}) =>
      Row.absolute(what, unit, ours.map(of), limit, other.map(of))
    const lost = (runs: ReadonlyArray<Figures>) => runs.reduce((sum, run) => sum + run.lost, 0)
    const { inputTokens, outputTokens, pace, perSecond, rows } = load
    const chunks = pace.perChunk === undefined ? "" : `, ${pace.perChunk} tokens at once`
    const result: PartResult = {
      name,
      settings:
        `${rows} rows, one every ${1_000 / perSecond} ms, for ${rows / perSecond} s; ${inputTokens} tokens in, ${outputTokens} out, ` +
        `${pace.ttftMs} ms to the first and ${pace.itlMs} ms to every other token${chunks}, server with --truth; ` +
        `the other side is ${Replays.handwrittenScript}`,
      rows: [
        figure("due to written to the socket, p50", "ms", ({ lag }) => lag.p50, judged.p50),
        figure("the same, p99", "ms", ({ lag }) => lag.p99, judged.p99),
        figure("the same, mean", "ms", ({ lag }) => lag.mean, judged.mean),
        figure("the same, most", "ms", ({ lag }) => lag.max),
        figure(`later than ${lateMs} ms`, "rows", ({ lag }) => lag.late),
        figure("due to received by the server, p50", "ms", ({ arrival }) => arrival.p50),
        figure("the same, p99", "ms", ({ arrival }) => arrival.p99),
        figure("how far the clocks may be apart", "ms", ({ arrival }) => arrival.clockUncertaintyMs),
        figure("lost", "rows", (run) => run.lost, { atMost: 0 }),
        figure("in flight at most", "requests", ({ inFlight }) => inFlight),
        figure("peak resident memory", "MB", (run) => run.peakResidentBytes / 1e6, judged.peak),
        figure("CPU, first request to last answer", "s", (run) => run.runCpuSeconds),
        figure("CPU, whole process", "s", (run) => run.processCpuSeconds),
        figure("cores busy, client", "cores", (run) => run.runCpuSeconds / run.runWallSeconds),
        figure("cores busy, server", "cores", (run) => run.serverCpuSeconds / run.runWallSeconds),
        figure("cores busy, whatever else runs", "cores", ({ foreignCores }) => foreignCores),
        figure("load average after the run", "", ({ loadAverage }) => loadAverage)
      ],
      runs: [
        ...ours.map((figures) => ({ side: "ours", ...figures })),
        ...other.map((figures) => ({ side: "handwritten", ...figures }))
      ],
      failed:
        lost(ours) + lost(other) > 0
          ? `${name}: rows were lost, ${lost(ours)} by llmperf and ${lost(other)} by the hand-written replay`
          : null
    }
    return result
  }).pipe(Effect.scoped)

/** How precisely many short requests are sent. */
export const run = part(
  "replay",
  {
    rows: 10_000,
    perSecond: 500,
    inputTokens: 550,
    outputTokens: 64,
    pace: { ttftMs: 100, itlMs: 10, perChunk: 4 }
  },
  { p50: { atMost: 0.7 }, p99: { atMost: 5 } }
)

/** The same with thousands of long answers in flight, and what they take in memory. */
export const runLong = part(
  "replay-long",
  { rows: 50_000, perSecond: 100, inputTokens: 550, outputTokens: 30, pace: { ttftMs: 1_000, itlMs: 1_000 } },
  { mean: { atMost: 3 }, peak: { atMost: 500 } }
)
