import { type Schedule } from "../../domain/Schedule.ts"
import * as ScheduleEdit from "../../workload/ScheduleEdit.ts"

/** The first row of the part of so many seconds in which most requests are due. */
const busiestRow = ({ length, offsetSeconds }: Schedule, seconds: number): number => {
  let most = 0
  let row = 0
  let first = 0
  for (let last = 0; last < length; last++) {
    while ((offsetSeconds[last] ?? 0) - (offsetSeconds[first] ?? 0) >= seconds) first++
    if (last - first + 1 > most) {
      most = last - first + 1
      row = first
    }
  }
  return row
}

/** The busiest part of a schedule, from its first request on, numbered anew. */
export const busiest = (schedule: Schedule, seconds: number): Schedule => {
  const from = schedule.offsetSeconds[busiestRow(schedule, seconds)] ?? 0
  const part = ScheduleEdit.window(schedule, from, from + seconds)
  return { ...part, id: part.id.map((_, row) => row + 1) }
}
