import type { Format } from "../OpenMetrics.ts"

/** A range of media types that a client takes, and how much it likes it. */
interface Range {
  readonly type: string
  readonly version: string | null
  readonly quality: number
}

/**
 * The format that is liked best (RFC 9110, 12.5.1). OpenMetrics is for who names it in the version that we write; somebody who takes
 * anything, or nothing of what there is, gets the format that every scraper reads.
 */
export const formatOf = (accept: string): Format => {
  const ranges = accept.split(",").map(rangeOf)
  const best = (fits: (range: Range) => boolean) => Math.max(0, ...ranges.filter(fits).map(({ quality }) => quality))
  const openMetrics = best(({ type, version }) => type === OPEN_METRICS && (version === null || version === "1.0.0"))
  const plain = best(({ type, version }) => type === "text/plain" && (version === null || version === "0.0.4"))
  return openMetrics > 0 && openMetrics >= plain ? "openmetrics" : "prometheus"
}

const OPEN_METRICS = "application/openmetrics-text"

const rangeOf = (text: string): Range => {
  const [type = "", ...parameters] = text.split(";").map((part) => part.trim())
  const parameter = (name: string): string | null => {
    const found = parameters.find((each) => each.toLowerCase().startsWith(`${name}=`))
    return found === undefined ? null : found.slice(name.length + 1).replaceAll('"', "")
  }
  const quality = Number(parameter("q") ?? "1")
  return {
    type: type.toLowerCase(),
    version: parameter("version"),
    quality: quality >= 0 && quality <= 1 ? quality : 0
  }
}
