/** The text formats of Prometheus (0.0.4) and of OpenMetrics (1.0.0). */

export type Format = "prometheus" | "openmetrics"

export interface Labels {
  readonly [name: string]: string
}

/** `suffix`: what comes after the name of the family; of a counter `_total`. */
export interface Sample {
  readonly suffix: string
  readonly labels: Labels
  readonly value: number
}

/** `name` is without the prefix of the program; the unit, where there is one, is its last part. */
export interface Family {
  readonly name: string
  readonly type: "counter" | "gauge" | "histogram" | "summary" | "info" | "stateset"
  readonly unit: string
  readonly help: string
  readonly samples: ReadonlyArray<Sample>
}

const PROGRAM = "llmperf_"

/** The families that have samples, in their order. `shared` are labels of every sample. */
export const text = (families: ReadonlyArray<Family>, shared: Labels, format: Format): string => {
  const write = format === "openmetrics" ? asOpenMetrics : asPrometheus
  const written = families.filter(({ samples }) => samples.length > 0).map((family) => write(family, shared))
  return `${written.join("")}${format === "openmetrics" ? "# EOF\n" : ""}`
}

/** How a bound or a quantile is written, which is a label: OpenMetrics wants to see that it is no whole number. */
export const bound = (value: number, format: Format): string =>
  value === Infinity ? "+Inf" : format === "openmetrics" && Number.isInteger(value) ? value.toFixed(1) : String(value)

const escapeHelp = (text: string): string => text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")

const escapeLabel = (text: string): string => escapeHelp(text).replaceAll('"', '\\"').toWellFormed()

const number = (value: number): string => (value === Infinity ? "+Inf" : String(value))

const lines = ({ name, samples }: Family, shared: Labels): string =>
  samples
    .map(({ labels, suffix, value }) => {
      const pairs = Object.entries({ ...shared, ...labels }).map(([key, text]) => `${key}="${escapeLabel(text)}"`)
      return `${PROGRAM}${name}${suffix}${pairs.length === 0 ? "" : `{${pairs.join(",")}}`} ${number(value)}\n`
    })
    .join("")

const asOpenMetrics = (family: Family, shared: Labels): string => {
  const name = `${PROGRAM}${family.name}`
  const unit = family.unit === "" ? "" : `# UNIT ${name} ${family.unit}\n`
  const help = escapeHelp(family.help).replaceAll('"', '\\"')
  return `# TYPE ${name} ${family.type}\n${unit}# HELP ${name} ${help}\n${lines(family, shared)}`
}

/** Prometheus' format knows neither units nor infos nor sets of states (the last two are gauges there), and names what is written. */
const asPrometheus = (family: Family, shared: Labels): string => {
  const { help, type } = family
  const name = `${PROGRAM}${family.name}${type === "info" ? "_info" : type === "counter" ? "_total" : ""}`
  const known = type === "info" || type === "stateset" ? "gauge" : type
  return `# HELP ${name} ${escapeHelp(help)}\n# TYPE ${name} ${known}\n${lines(family, shared)}`
}
