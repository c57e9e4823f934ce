import type { PrefixBlocks, Schedule } from "../../domain/Schedule.ts"
import { TICKS } from "./scheduleCells.ts"

type Numbers = Float64Array | Uint32Array

/** Numbers in a typed array that grows. */
const growing = <A extends Numbers>(make: (length: number) => A) => {
  let values = make(1_024)
  let length = 0
  return {
    push: (value: number): void => {
      if (length === values.length) {
        const larger = make(length * 2)
        larger.set(values)
        values = larger
      }
      values[length++] = value
    },
    length: (): number => length,
    /** The numbers, in an array of their length; to be called once. */
    take: (): A => {
      if (length === values.length) return values
      const exact = make(length)
      exact.set(values.subarray(0, length))
      values = make(1)
      return exact
    }
  }
}

const float64 = (length: number) => new Float64Array(length)
const uint32 = (length: number) => new Uint32Array(length)

const pick = <A extends Numbers>(values: A, rows: Uint32Array, make: (length: number) => A): A => {
  const picked = make(rows.length)
  for (let i = 0; i < rows.length; i++) picked[i] = values[rows[i] ?? 0] ?? 0
  return picked
}

const pickBlocks = ({ blockTokens, ids, start }: PrefixBlocks, rows: Uint32Array): PrefixBlocks => {
  const picked = uint32(rows.length + 1)
  let length = 0
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] ?? 0
    length += (start[row + 1] ?? 0) - (start[row] ?? 0)
    picked[i + 1] = length
  }
  const pickedIds = float64(length)
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] ?? 0
    pickedIds.set(ids.subarray(start[row], start[row + 1]), picked[i])
  }
  return { blockTokens, start: picked, ids: pickedIds }
}

/** The given rows of a schedule, in the given order. */
export const pickRows = (schedule: Schedule, rows: Uint32Array): Schedule => ({
  length: rows.length,
  id: pick(schedule.id, rows, uint32),
  offsetSeconds: pick(schedule.offsetSeconds, rows, float64),
  inputTokens: pick(schedule.inputTokens, rows, uint32),
  outputTokens: pick(schedule.outputTokens, rows, uint32),
  session: schedule.session === null ? null : pick(schedule.session, rows, uint32),
  prefix: schedule.prefix === null ? null : pickBlocks(schedule.prefix, rows)
})

/** The rows by time, those of one moment in the order of the file; `null` when they are in this order already. */
const orderOf = (times: Float64Array): Uint32Array | null => {
  let sorted = true
  for (let i = 1; sorted && i < times.length; i++) sorted = (times[i - 1] ?? 0) <= (times[i] ?? 0)
  if (sorted) return null
  const rows = uint32(times.length)
  for (let i = 0; i < rows.length; i++) rows[i] = i
  return rows.toSorted((a, b) => (times[a] ?? 0) - (times[b] ?? 0) || a - b)
}

/** Sessions numbered from 1 in the order in which their first requests are due; `null` when no row has one. */
export const renumberSessions = (session: Uint32Array): Uint32Array | null => {
  const numbers = new Map<number, number>([[0, 0]])
  const renumbered = session.map((old) => {
    const known = numbers.get(old)
    if (known !== undefined) return known
    numbers.set(old, numbers.size)
    return numbers.size - 1
  })
  return numbers.size === 1 ? null : renumbered
}

/** Takes rows as they come in a file. */
export const make = () => {
  const id = growing(uint32)
  const times = growing(float64)
  const input = growing(uint32)
  const output = growing(uint32)
  const session = growing(uint32)
  const start = growing(uint32)
  const ids = growing(float64)
  start.push(0)

  return {
    /** `time` is in seconds, or in ticks for `finish("ticks", …)`. The blocks of the row come before it, with `addBlock`. */
    add: (row: number, time: number, inputTokens: number, outputTokens: number, sessionNumber: number): void => {
      id.push(row)
      times.push(time)
      input.push(inputTokens)
      output.push(outputTokens)
      session.push(sessionNumber)
      start.push(ids.length())
    },
    addBlock: ids.push,
    length: id.length,
    /** The schedule, sorted. With `ticks` the earliest row is due at 0 and the times are divided only now, so they are exact. */
    finish: (unit: "seconds" | "ticks", blockTokens: number): { schedule: Schedule; sorted: boolean } => {
      const length = id.length()
      const offsetSeconds = times.take()
      if (unit === "ticks") {
        let earliest = Infinity
        for (const time of offsetSeconds) earliest = Math.min(earliest, time)
        for (let i = 0; i < length; i++) offsetSeconds[i] = ((offsetSeconds[i] ?? 0) - earliest) / TICKS
      }
      const order = orderOf(offsetSeconds)
      const asInFile: Schedule = {
        length,
        id: id.take(),
        offsetSeconds,
        inputTokens: input.take(),
        outputTokens: output.take(),
        session: session.take(),
        prefix: ids.length() === 0 ? null : { blockTokens, start: start.take(), ids: ids.take() }
      }
      const schedule = order === null ? asInFile : pickRows(asInFile, order)
      return {
        schedule: { ...schedule, session: schedule.session === null ? null : renumberSessions(schedule.session) },
        sorted: order === null
      }
    }
  }
}
