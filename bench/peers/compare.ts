import { spread } from "../internal/Statistics.ts"
import { figure, number, signed, type Grid } from "../internal/Table.ts"
import { type Peer } from "./Peer.ts"
import { type Run } from "./Run.ts"

type Of = (run: Run) => number | null

/** All runs of one load side by side, one tool a column; medians, with the lowest and highest in brackets. */
export const grid = (title: string, runs: ReadonlyArray<Run>): Grid => {
  const names = [...new Set(runs.map(({ peer }) => peer))]
  const row = (what: string, of: Of, unit: string, write = number): ReadonlyArray<string> => [
    what,
    ...names.map((name) => {
      const values = runs.flatMap((run) => {
        const value = run.peer === name ? of(run) : null
        return value === null ? [] : [value]
      })
      return values.length === 0 ? "" : figure(spread(values), unit, write)
    })
  ]
  const whole = (value: number) => String(Math.round(value))
  const told = (of: "ttftMs" | "gapMs", at: "p50" | "p99", what: string) => [
    row(`${what} ${at}, by the tool`, (run) => run[of].claimed?.[at] ?? null, " ms"),
    row("the same, by the server", (run) => run[of].server[at], " ms"),
    row("added", ({ [of]: { claimed, server } }) => (claimed === null ? null : claimed[at] - server[at]), " ms", signed)
  ]
  const isOpen = runs.some(({ arrivals }) => arrivals !== null)
  return {
    title,
    columns: ["", ...names],
    rows: [
      ["runs", ...names.map((name) => String(runs.filter(({ peer }) => peer === name).length))],
      row("requests asked for", ({ asked }) => asked, "", whole),
      row("requests at the server", ({ received }) => received, "", whole),
      row("requests completed, by the tool", ({ completed }) => completed, "", whole),
      row(
        "CPU per token, first request to last token",
        ({ runCpuSeconds, tokens }) => (runCpuSeconds * 1e6) / tokens,
        " µs"
      ),
      row(
        "CPU per token, first request to end of process",
        ({ savedCpuSeconds, tokens }) => (savedCpuSeconds * 1e6) / tokens,
        " µs"
      ),
      row("CPU per token, whole process", ({ processCpuSeconds, tokens }) => (processCpuSeconds * 1e6) / tokens, " µs"),
      ...told("ttftMs", "p50", "TTFT"),
      ...told("ttftMs", "p99", "TTFT"),
      ...told("gapMs", "p50", "gap"),
      ...told("gapMs", "p99", "gap"),
      [
        "gaps are",
        ...names.map((name) =>
          runs.find(({ peer }) => peer === name)?.gapOf === "requests" ? "means of requests" : "between chunks"
        )
      ],
      ...(isOpen
        ? [
            row("requests a second, as they came in", ({ arrivals }) => arrivals?.perSecond ?? null, ""),
            row("dispersion of their counts per second (1)", ({ arrivals }) => arrivals?.dispersion ?? null, ""),
            row("correlation of each gap with the next (0)", ({ arrivals }) => arrivals?.correlation ?? null, "")
          ]
        : []),
      row("help", ({ helpSeconds }) => helpSeconds, " s"),
      row("process start to first request", ({ firstRequestSeconds }) => firstRequestSeconds, " s"),
      row("first request to last token", ({ runSeconds }) => runSeconds, " s"),
      row("process start to end", ({ wallSeconds }) => wallSeconds, " s"),
      row("memory at most, all processes", ({ peakBytes }) => peakBytes / 1e6, " MB"),
      row("processes at most", ({ processes }) => processes, "", whole)
    ]
  }
}

const medianOf = (runs: ReadonlyArray<Run>, peer: string, of: (run: Run) => number): number =>
  spread(runs.filter((run) => run.peer === peer).map(of)).median

/** The bars, against the best tool in Python that was run. */
export const bars = (runs: ReadonlyArray<Run>, peers: ReadonlyArray<Peer>): ReadonlyArray<string> => {
  const pythons = peers.filter(({ name, language }) => language === "Python" && runs.some(({ peer }) => peer === name))
  if (pythons.length === 0 || !runs.some(({ peer }) => peer === "llmperf")) return []
  const against = (what: string, unit: string, most: number, of: (run: Run) => number) => {
    const ours = medianOf(runs, "llmperf", of)
    const best = pythons
      .map(({ name }) => ({ name, value: medianOf(runs, name, of) }))
      .reduce((least, other) => (other.value < least.value ? other : least))
    const met = ours <= most * best.value
    return `${what}: ${number(ours)} ${unit}, at best ${number(best.value)} ${unit} in Python (${best.name}); at most ${most}× was the bar: ${met ? "met" : "NOT met"}`
  }
  return [
    against(
      "CPU per token, first request to last token",
      "µs",
      0.5,
      ({ runCpuSeconds, tokens }) => (runCpuSeconds * 1e6) / tokens
    ),
    against(
      "CPU per token, first request to end of process",
      "µs",
      0.5,
      ({ savedCpuSeconds, tokens }) => (savedCpuSeconds * 1e6) / tokens
    ),
    against("added TTFT p99", "ms", 0.1, ({ ttftMs: { claimed, server } }) => (claimed?.p99 ?? Infinity) - server.p99)
  ]
}
