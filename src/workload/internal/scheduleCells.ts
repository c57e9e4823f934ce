import type { Count, Instant, Time } from "../trace/Format.ts"

/** Ticks of 100 ns in a second. */
export const TICKS = 10_000_000
const TICK_DIGITS = 7

/** The largest number that fits into a column of 32 bits. */
const LARGEST_COUNT = 0xffff_ffff

/** Whether a row says nothing in this cell. */
export const isBlank = (cell: unknown): boolean =>
  cell === undefined || cell === null || (typeof cell === "string" && cell.trim() === "")

const digits = /^\d+$/
const digitsAndZeros = /^\d+(\.0*)?$/

const readCount =
  (pattern: RegExp) =>
  (cell: unknown): number => {
    const value = typeof cell === "string" ? (pattern.test(cell) ? Number(cell) : Number.NaN) : cell
    return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= LARGEST_COUNT
      ? value
      : Number.NaN
  }

/** Digits only. */
export const count: Count = { expected: "a whole number of tokens, 1 or more", read: readCount(digits) }

/** Digits, also as `600.0`, which is how a column of integers with gaps is often written. */
export const looseCount: Count = { expected: count.expected, read: readCount(digitsAndZeros) }

const decimal = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/

/** Seconds after the start, to the last bit of a double. */
export const offset: Time = {
  kind: "offset",
  expected: "a number of seconds, 0 or more",
  read: (cell) => {
    const value = typeof cell === "string" ? (decimal.test(cell) ? Number(cell) : Number.NaN) : cell
    // Adding 0 makes -0 a plain 0
    return typeof value === "number" && value >= 0 && value < Infinity ? value + 0 : Number.NaN
  }
}

/** Units of a time stamp: how many digits of it stand for parts of a second. */
const unitDigits = { s: 0, ms: 3, us: 6, ns: 9 } as const

/** How a time stamp is written: as a number of some unit, or as a date. */
export type Unit = keyof typeof unitDigits | "iso"

/** All of them. */
export const units: ReadonlyArray<Unit> = ["s", "ms", "us", "ns", "iso"]

/** Digits after the point as ticks; a digit below 100 ns rounds. */
const ticksOf = (fraction: string): number => {
  const ticks = Number(fraction.slice(0, TICK_DIGITS).padEnd(TICK_DIGITS, "0"))
  return fraction.charCodeAt(TICK_DIGITS) >= 53 ? ticks + 1 : ticks
}

const put = (into: Instant, seconds: number, ticks: number): boolean => {
  into.seconds = ticks === TICKS ? seconds + 1 : seconds
  into.ticks = ticks === TICKS ? 0 : ticks
  return Number.isSafeInteger(into.seconds)
}

const plainDecimal = /^(\d+)(?:\.(\d*))?$/

/** A number of some unit, exact in decimal: the point is moved, nothing is divided. */
const numberOf = (unit: Exclude<Unit, "iso">): Time => {
  const shift = unitDigits[unit]
  const perSecond = 10 ** shift
  const ticksPerUnit = TICKS / perSecond
  return {
    kind: "instant",
    expected: `a time in ${unit}, 0 or more`,
    read: (cell, into) => {
      if (typeof cell === "number" && Number.isSafeInteger(cell) && cell >= 0 && shift <= TICK_DIGITS) {
        const part = cell % perSecond
        return put(into, (cell - part) / perSecond, part * ticksPerUnit)
      }
      const text = typeof cell === "string" ? cell : typeof cell === "number" ? String(cell) : ""
      const [, whole, fraction = ""] = plainDecimal.exec(text) ?? []
      if (whole === undefined) return false
      const padded = whole.padStart(shift + 1, "0")
      const point = padded.length - shift
      return put(into, Number(padded.slice(0, point)), ticksOf(padded.slice(point) + fraction))
    }
  }
}

const dateTime = /^(\d{4}-\d\d-\d\d)[ T](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:Z|([+-])(\d\d):?(\d\d))?$/

/** Days since 1970 of the proleptic Gregorian calendar, or NaN for a day that does not exist. */
const dayOf = (date: string): number => {
  const [year = 0, month = 0, day = 0] = date.split("-").map(Number)
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
  const length = month === 2 ? (leap ? 29 : 28) : [4, 6, 9, 11].includes(month) ? 30 : 31
  if (month < 1 || month > 12 || day < 1 || day > length) return Number.NaN
  // Years that begin in March end with the leap day
  const shifted = month > 2 ? year : year - 1
  const dayOfYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1
  const leaps = Math.floor(shifted / 4) - Math.floor(shifted / 100) + Math.floor(shifted / 400)
  return shifted * 365 + leaps + dayOfYear - 719_468
}

/** `2023-11-16 18:17:03.9799600` with any number of decimals, with `T` or a space, with or without a zone. */
export const date = (): Time => {
  // Rows of one day follow each other
  let known = ""
  let day = 0
  return {
    kind: "instant",
    expected: "a date and time such as 2023-11-16 18:17:03.9799600",
    read: (cell, into) => {
      if (typeof cell !== "string") return false
      const [, date, hour, minute, second, fraction = "", sign, zoneHours = "0", zoneMinutes = "0"] =
        dateTime.exec(cell) ?? []
      if (date === undefined) return false
      if (date !== known) {
        day = dayOf(date)
        known = date
      }
      const h = Number(hour)
      const m = Number(minute)
      const s = Number(second)
      // 60 is a leap second
      if (h > 23 || m > 59 || s > 60 || Number.isNaN(day)) return false
      const zone = (Number(zoneHours) * 60 + Number(zoneMinutes)) * (sign === "-" ? -60 : 60)
      return put(into, day * 86_400 + h * 3_600 + m * 60 + s - zone, ticksOf(fraction))
    }
  }
}

/** A time stamp in that unit. */
export const time = (unit: Unit): Time => (unit === "iso" ? date() : numberOf(unit))

/** A label as text: what stands in CSV for a number in JSON is the same label. */
const labelOf = (cell: unknown): string =>
  typeof cell === "string" ? cell.trim() : typeof cell === "number" ? String(cell) : ""

// A part of a long text keeps all of that text in memory; a copy does not.
const copyOf = (text: string): string => Buffer.from(text, "utf16le").toString("utf16le")

/** Numbers for labels, from 1 in the order in which they come; 0 for an empty one. */
export const numbering = () => {
  const known = new Map<string, number>()
  return {
    /** The number of a label; `like` gives it the number of another one when it is new. */
    of: (cell: unknown, like?: number): number => {
      const label = labelOf(cell)
      if (label === "") return 0
      const found = known.get(label)
      if (found !== undefined) return found
      const number = like ?? known.size + 1
      known.set(copyOf(label), number)
      return number
    }
  }
}

/** Numbers for the labels of one column. */
export const labels = (): ((cell: unknown) => number) => {
  const { of } = numbering()
  return (cell) => of(cell)
}

/** A list of whole numbers: an array in JSON, numbers with spaces between them in CSV. */
export const ids = (cell: unknown, add: (id: number) => void): boolean => {
  const list: unknown = typeof cell === "string" ? cell.trim().split(/\s+/).map(idOf) : cell
  if (!Array.isArray(list)) return false
  for (const id of list) {
    if (typeof id !== "number" || !Number.isInteger(id) || id < 0) return false
    add(id)
  }
  return true
}

const idOf = (text: string): number => (digits.test(text) ? Number(text) : Number.NaN)
