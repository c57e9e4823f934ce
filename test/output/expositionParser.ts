/**
 * A strict reader of the text formats of Prometheus (0.0.4) and OpenMetrics (1.0.0), as far as metrics of a run in progress need
 * them: what the rules do not allow throws. Names are those of OpenMetrics.
 */

export type Labels = { readonly [name: string]: string }

export interface Sample {
  readonly name: string
  readonly labels: Labels
  readonly value: number
}

export interface Family {
  readonly name: string
  readonly type: string
  readonly unit: string
  readonly help: string
  readonly samples: ReadonlyArray<Sample>
}

export interface Exposition {
  readonly families: ReadonlyMap<string, Family>
  readonly sample: (name: string, labels?: Labels) => number
}

const suffixes: { readonly [type: string]: ReadonlyArray<string> } = {
  counter: ["_total"],
  gauge: [""],
  histogram: ["_bucket", "_sum", "_count"],
  summary: [""],
  info: ["_info"],
  stateset: [""]
}

const refuse = (problem: string, line: string): never => {
  throw new Error(`${problem}: ${line}`)
}

const numberOf = (text: string, line: string): number => {
  if (text === "+Inf") return Infinity
  if (!/^-?\d+(\.\d+)?(e[+-]\d+)?$/.test(text)) refuse("not a number", line)
  return Number(text)
}

const sampleOf = (line: string): Sample => {
  const [, name = "", inner = "", value = ""] =
    /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[^"}]|"(?:[^"\\]|\\.)*")*)\})? (\S+)$/.exec(line) ??
    refuse("not a sample", line)
  const labels: { [name: string]: string } = {}
  let rest = inner
  while (rest !== "") {
    const [all, key = "", text = "", comma = ""] =
      /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\[\\n"])*)"(,|$)/.exec(rest) ?? refuse("not labels", line)
    if (labels[key] !== undefined) refuse(`twice the label ${key}`, line)
    labels[key] = text.replaceAll(/\\(.)/g, (_, escaped: string) => (escaped === "n" ? "\n" : escaped))
    rest = rest.slice(all.length)
    if (comma === "," && rest === "") refuse("a comma too many", line)
  }
  return { name, labels, value: numberOf(value, line) }
}

const keyOf = (name: string, labels: Labels): string => JSON.stringify([name, Object.entries(labels).toSorted()])

const without = (labels: Labels, name: string): Labels =>
  Object.fromEntries(Object.entries(labels).filter(([key]) => key !== name))

/** Buckets ascend, count what is in all before them, and end with all there is. */
const checkHistogram = ({ name, samples }: Family): void => {
  const groups = new Map<string, Array<Sample>>()
  for (const sample of samples) {
    const key = keyOf(name, without(sample.labels, "le"))
    groups.set(key, [...(groups.get(key) ?? []), sample])
  }
  for (const group of groups.values()) {
    const buckets = group.filter((sample) => sample.name === `${name}_bucket`)
    const [sum, count] = ["_sum", "_count"].map((suffix) => group.filter((one) => one.name === `${name}${suffix}`))
    if (sum?.length !== 1 || count?.length !== 1) refuse("not one sum and one count", name)
    const bounds = buckets.map(({ labels }) => numberOf(labels["le"] ?? "", name))
    if (bounds.at(-1) !== Infinity) refuse("no bucket for everything", name)
    for (const [index, { value }] of buckets.entries()) {
      if (index > 0 && (bounds[index] ?? NaN) <= (bounds[index - 1] ?? NaN)) refuse("bounds do not ascend", name)
      if (!Number.isInteger(value) || value < (buckets[index - 1]?.value ?? 0)) refuse("buckets do not ascend", name)
    }
    if (buckets.at(-1)?.value !== count?.[0]?.value) refuse("the last bucket is not the count", name)
  }
}

const checkFamily = (family: Family, isOpenMetrics: boolean): void => {
  const { name, samples, type, unit } = family
  if (samples.length === 0) refuse("a family without samples", name)
  if (unit !== "" && !name.endsWith(`_${unit}`)) refuse("the unit is not the end of the name", name)
  for (const sample of samples) {
    const told = JSON.stringify(sample)
    if (!(suffixes[type] ?? []).some((suffix) => sample.name === `${name}${suffix}`)) refuse(`not of ${name}`, told)
    if ("le" in sample.labels !== sample.name.endsWith("_bucket")) refuse("a bound where none belongs", told)
    if ("quantile" in sample.labels !== (type === "summary")) refuse("a quantile where none belongs", told)
    if ((type === "counter" || type === "histogram") && sample.value < 0) refuse("below zero", told)
    if (type === "info" && sample.value !== 1) refuse("an info is 1", told)
    if (type === "stateset" && (!(name in sample.labels) || ![0, 1].includes(sample.value))) refuse("no state", told)
    // Bounds are told apart as text: OpenMetrics has one form for them
    const { le } = sample.labels
    if (isOpenMetrics && le !== undefined && le !== "+Inf" && !/[.e]/.test(le)) refuse("not a canonical bound", told)
  }
  if (type === "histogram") checkHistogram(family)
}

const typesOfPrometheus = new Set(["counter", "gauge", "histogram", "summary"])

export const parse = (text: string, format: "prometheus" | "openmetrics"): Exposition => {
  const isOpenMetrics = format === "openmetrics"
  const end = isOpenMetrics ? "# EOF\n" : "\n"
  if (!text.endsWith(end)) throw new Error(`it does not end with ${JSON.stringify(end)}`)
  const body = isOpenMetrics ? text.slice(0, -end.length) : text
  const families = new Map<string, { -readonly [Key in keyof Family]: Family[Key] }>()
  const samples = new Map<string, number>()
  let current: { -readonly [Key in keyof Family]: Family[Key] } | null = null
  for (const line of body.split("\n").slice(0, -1)) {
    const described = /^# (TYPE|UNIT|HELP) (\S+) (.*)$/.exec(line)
    if (described === null) {
      if (current === null || line.startsWith("#")) return refuse("out of place", line)
      const sample = sampleOf(line)
      const key = keyOf(sample.name, sample.labels)
      if (samples.has(key)) refuse("twice", line)
      samples.set(key, sample.value)
      current.samples = [...current.samples, sample]
      continue
    }
    const [, kind = "", name = "", rest = ""] = described
    if (current === null || current.name !== name || current.samples.length > 0) {
      if (families.has(name)) refuse("not in one piece", line)
      current = { name, type: "", unit: "", help: "", samples: [] }
      families.set(name, current)
    }
    if (kind === "HELP") current.help = rest
    else if (kind === "UNIT") {
      if (!isOpenMetrics) refuse("no unit may be here", line)
      current.unit = rest
    } else {
      if (isOpenMetrics ? !(rest in suffixes) : !typesOfPrometheus.has(rest)) refuse("no such type", line)
      if (current.type !== "") refuse("a second type", line)
      current.type = rest
    }
  }
  if (isOpenMetrics) for (const family of families.values()) checkFamily(family, true)
  else {
    // There, a counter is named as what is written
    for (const family of families.values()) {
      const isCounter = family.type === "counter"
      if (isCounter && !family.name.endsWith("_total")) refuse("a counter that does not end in _total", family.name)
      checkFamily(isCounter ? { ...family, name: family.name.replace(/_total$/, "") } : family, false)
    }
  }
  return {
    families,
    sample: (name, labels = {}) => {
      const found = [...samples].filter(([key]) => {
        const [sampleName, pairs]: [string, ReadonlyArray<readonly [string, string]>] = JSON.parse(key)
        const given: Labels = Object.fromEntries(pairs)
        return sampleName === name && Object.entries(labels).every(([label, value]) => given[label] === value)
      })
      const [one] = found
      if (one === undefined || found.length > 1) throw new Error(`${found.length} samples are ${keyOf(name, labels)}`)
      return one[1]
    }
  }
}
