/** Texts of the report: escaping, and numbers as people read them. Runs in a browser too. */

const entities: { readonly [character: string]: string } = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;"
}

/** A text in the place of HTML text or of an attribute's value in quotes. */
export const escape = (text: string): string => text.replaceAll(/[&<>"']/g, (character) => entities[character] ?? "")

/** JSON that can stand in a `<script>`: nothing in it ends the element or opens a comment. */
export const scriptJson = (value: unknown): string =>
  JSON.stringify(value).replaceAll(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`
  )

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 })
const short = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 3 })

/** Three digits that count; thousands in groups. `–` for what is not known. */
export const number = (value: number | null): string => {
  if (value === null || !Number.isFinite(value)) return "–"
  const size = Math.abs(value)
  if (size >= 1_000_000) return `${short.format(value / 1_000_000)} M`
  return size >= 100 ? whole.format(value) : short.format(value)
}

/** All digits of a count. */
export const count = (value: number): string => whole.format(value)

/** `1 request`, `2,000 requests`. */
export const counted = (value: number, noun: string): string => `${count(value)} ${noun}${value === 1 ? "" : "s"}`

/** Seconds: `840 µs`, `142 ms`, `3.4 s`, `5 min 12 s`, `2 h 05 min`. */
export const seconds = (value: number | null): string => {
  if (value === null || !Number.isFinite(value)) return "–"
  const size = Math.abs(value)
  if (size === 0) return "0 s"
  if (size < 0.000_999_5) return `${number(value * 1e6)} µs`
  if (size < 0.9995) return `${number(value * 1e3)} ms`
  if (size < 119.5) return `${number(value)} s`
  const all = Math.round(size)
  const minutes = Math.floor(all / 60)
  return all < 3600
    ? `${minutes} min ${String(all % 60).padStart(2, "0")} s`
    : `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`
}

/** A share of one. */
export const percent = (share: number): string =>
  share > 0 && share < 0.0005 ? "< 0.1 %" : `${short.format(share * 100)} %`

const pad = (part: number): string => String(part).padStart(2, "0")

/** A moment of a run on an axis: `40 s`, `2:30`, `1:05:00`. */
export const clock = (value: number, span: number): string => {
  if (span < 180) return `${short.format(value)} s`
  const all = Math.round(value)
  const minutes = Math.floor(all / 60)
  return span < 3600
    ? `${minutes}:${pad(all % 60)}`
    : `${Math.floor(minutes / 60)}:${pad(minutes % 60)}:${pad(all % 60)}`
}

/** In what moments of a run of so many seconds are shown on an axis. */
export const timeUnitFor = (span: number): { readonly name: "s" | "min" | "h"; readonly seconds: number } =>
  span < 180 ? { name: "s", seconds: 1 } : span < 7200 ? { name: "min", seconds: 60 } : { name: "h", seconds: 3600 }

/** In what a number of seconds is shown on an axis. */
export interface Unit {
  readonly name: "µs" | "ms" | "s"
  readonly perSecond: number
}

/** The unit in which the largest value has few digits. */
export const unitFor = (most: number): Unit =>
  most < 0.001
    ? { name: "µs", perSecond: 1e6 }
    : most < 2
      ? { name: "ms", perSecond: 1e3 }
      : { name: "s", perSecond: 1 }

/** Only the digits that can be seen in a chart. */
export const rounded = (value: number): number | null => (Number.isFinite(value) ? Number(value.toPrecision(4)) : null)
