import { roundUp } from "./reportDistribution.ts"
import type { RunCharts } from "./reportModel.ts"
import { type Chart, colorOf, frame, indexOf, marksOf, tip, tipRow, tooltip, xAxis, yAxis } from "./reportChartParts.ts"
import { clock, count, counted, number, seconds, unitFor } from "./reportText.ts"

type Runs = ReadonlyArray<RunCharts>

const BINS = 20

/** The value in the middle, and the one that 99 % are not above, of a few values. */
const middleAndTail = (values: ReadonlyArray<number>): readonly [number | null, number | null] => {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (q: number): number | null => sorted[Math.round(q * (sorted.length - 1))] ?? null
  return [at(0.5), at(0.99)]
}

/** TTFT of each request against the length of its prompt. */
export const byInput = (runs: Runs): Chart | null => {
  const all = runs
    .map(({ label, points }, tone) => ({
      label,
      tone,
      count: points.count,
      pairs: points.inputTokens.flatMap((tokens, i): Array<[number, number]> => {
        const first = points.first[i] ?? null
        return tokens === null || first === null ? [] : [[tokens, first]]
      })
    }))
    .filter(({ pairs }) => pairs.length > 0)
  if (all.length === 0) return null
  const inputs = all.flatMap(({ pairs }) => pairs.map(([tokens]) => tokens))
  const least = inputs.reduce((a, b) => Math.min(a, b), Infinity)
  const most = inputs.reduce((a, b) => Math.max(a, b), 0)
  const longest = all.reduce((sum, { pairs }) => pairs.reduce((a, [, first]) => Math.max(a, first), sum), 0)
  const unit = unitFor(longest)
  const requests = all.reduce((sum, { count }) => sum + count, 0)
  const drawn = inputs.length
  const width = Math.max(1, roundUp((most - least + 1) / BINS))
  const left = Math.floor(least / width) * width
  const bins = Math.floor(most / width) - left / width + 1
  return {
    name: "ttft-by-input",
    id: "ttft-by-input",
    title: "Time to first token by input tokens",
    note:
      drawn < requests
        ? `A sample of ${count(drawn)} of ${counted(requests, "request")}, spread over the whole run.`
        : "Each point is a request that succeeded.",
    gist: `prompts from ${count(least)} to ${count(most)} tokens, up to ${seconds(longest)} to the first token`,
    height: 320,
    zoom: "own",
    renderer: "canvas",
    option: (look) => ({
      ...frame(
        look,
        all.map(({ label }) => label),
        true
      ),
      xAxis: xAxis(look, "Input tokens", number, {
        min: left,
        max: left + bins * width
      }),
      yAxis: yAxis(look, `TTFT (${unit.name})`, number),
      tooltip: {
        ...tooltip(look),
        trigger: "item",
        formatter: (params: unknown) => {
          const [mark] = marksOf(params)
          if (mark === undefined) return ""
          return tip(counted(mark.x, "input token"), [
            tipRow(mark.color, mark.seriesName, seconds(mark.y === null ? null : mark.y / unit.perSecond))
          ])
        }
      },
      series: all.map(({ label, pairs, tone }) => ({
        type: "scatter",
        name: all.length > 1 ? label : "TTFT",
        data: pairs.map(([tokens, first]) => [tokens, first * unit.perSecond]),
        symbolSize: drawn > 3_000 ? 4 : 6,
        color: colorOf(look.palette, tone),
        itemStyle: { opacity: drawn > 3_000 ? 0.35 : 0.6 }
      }))
    }),
    table: () => {
      const rows = Array.from({ length: bins }, (_, bin) => {
        const from = left + bin * width
        const cells = all.map(({ pairs }) => {
          const values = pairs.filter(([tokens]) => tokens >= from && tokens < from + width).map(([, first]) => first)
          const [middle, tail] = middleAndTail(values)
          return [count(values.length), seconds(middle), seconds(tail)]
        })
        return [`${count(from)} – ${count(from + width - 1)}`, ...cells.flat()]
      })
      const names = (label: string): ReadonlyArray<string> =>
        ["Requests", "TTFT p50", "TTFT p99"].map((name) => (all.length > 1 ? `${label}: ${name}` : name))
      return { columns: ["Input tokens", ...all.flatMap(({ label }) => names(label))], rows }
    }
  }
}

/** A row of a tooltip that has no colour in the chart. */
const plain = (name: string, value: string): string => tipRow("transparent", name, value)

/** The requests that took longest, each as a bar of its phases. */
export const slowestRequests = ({ slowest, span }: RunCharts): Chart | null => {
  const { failure, first, id, inputTokens, outputTokens, start, waited, whole } = slowest
  const size = id.length
  if (size === 0) return null
  const longest = Math.max(...whole.map((value) => value ?? 0))
  const unit = unitFor(longest)
  const rows = Array.from({ length: size }, (_, i) => {
    const wait = waited[i] ?? 0
    const untilFirst = first[i] ?? 0
    const rest = Math.max(0, (whole[i] ?? 0) - wait - untilFirst)
    const failed = (failure[i] ?? null) !== null
    return { wait, first: untilFirst, answer: failed ? 0 : rest, failed: failed ? rest : 0 }
  })
  const phases = [
    { name: "not yet sent", tone: 6, of: (i: number) => rows[i]?.wait ?? 0 },
    { name: "until the first token", tone: 0, of: (i: number) => rows[i]?.first ?? 0 },
    { name: "rest of the answer", tone: 2, of: (i: number) => rows[i]?.answer ?? 0 },
    { name: "until it failed", tone: 1, of: (i: number) => rows[i]?.failed ?? 0 }
  ].filter(({ of }) => rows.some((_, i) => of(i) > 0))
  const nameOf = (i: number): string => `#${id[i] ?? "?"}`
  return {
    name: "slowest",
    id: "slowest",
    title: `The ${size === 1 ? "slowest request" : `${size} slowest requests`}`,
    note: "From the moment each was due until its end, the longest first.",
    gist: `the slowest, request ${nameOf(0)}, took ${seconds(whole[0] ?? null)}; the last of these ${seconds(whole[size - 1] ?? null)}`,
    height: 96 + size * 15,
    zoom: "none",
    renderer: "svg",
    option: (look) => ({
      ...frame(
        look,
        phases.map(({ name }) => name),
        false
      ),
      xAxis: xAxis(look, `Time since it was due (${unit.name})`, number),
      yAxis: {
        type: "category",
        inverse: true,
        data: Array.from({ length: size }, (_, i) => nameOf(i)),
        name: "Request",
        nameLocation: "middle",
        nameGap: 8,
        nameTextStyle: { color: look.palette.muted, fontSize: 12 },
        axisLabel: { color: look.palette.muted, fontSize: 10.5, interval: 0 },
        axisLine: { show: false },
        axisTick: { show: false }
      },
      tooltip: {
        ...tooltip(look),
        trigger: "axis",
        axisPointer: { type: "shadow", shadowStyle: { color: look.palette.muted, opacity: 0.12 } },
        formatter: (params: unknown) => {
          const i = indexOf(params)
          const failed = failure[i] ?? null
          return tip(`Request ${nameOf(i)}`, [
            ...phases
              .filter(({ of }) => of(i) > 0)
              .map(({ name, of, tone }) => tipRow(colorOf(look.palette, tone), name, seconds(of(i)))),
            plain("in all", seconds(whole[i] ?? null)),
            plain("due at", clock(start[i] ?? 0, span ?? 0)),
            plain("tokens in, out", `${number(inputTokens[i] ?? null)}, ${number(outputTokens[i] ?? null)}`),
            ...(failed === null ? [] : [plain("failed", failed)])
          ])
        }
      },
      series: phases.map(({ name, of, tone }) => ({
        type: "bar",
        name,
        stack: "all",
        barCategoryGap: "25%",
        color: colorOf(look.palette, tone),
        emphasis: { disabled: true },
        data: rows.map((_, i) => of(i) * unit.perSecond)
      }))
    }),
    table: () => ({
      columns: [
        "Request",
        "Due at",
        ...phases.map(({ name }) => name),
        "In all",
        "Input tokens",
        "Output tokens",
        "Failure"
      ],
      rows: Array.from({ length: size }, (_, i) => [
        nameOf(i),
        clock(start[i] ?? 0, span ?? 0),
        ...phases.map(({ of }) => seconds(of(i))),
        seconds(whole[i] ?? null),
        number(inputTokens[i] ?? null),
        number(outputTokens[i] ?? null),
        failure[i] ?? ""
      ])
    })
  }
}
