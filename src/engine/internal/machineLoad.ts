import * as Os from "node:os"

/** Processor time since the machine started, in seconds: what all programs took, and what there was. */
const machineSeconds = (): { readonly busy: number; readonly all: number } => {
  let busy = 0
  let idle = 0
  for (const { times } of Os.cpus()) {
    busy += times.user + times.nice + times.sys + times.irq
    idle += times.idle
  }
  return { busy: busy / 1_000, all: (busy + idle) / 1_000 }
}

/** What all threads of this process took, in seconds. */
const ownSeconds = (): number => {
  const { system, user } = process.cpuUsage()
  return (system + user) / 1e6
}

/**
 * From now on. The function that it gives tells which part of all processor time, from 0 to 1, was taken by others than this
 * process and one more that took `besides` seconds.
 */
export const watchOthers = (): ((besides: number) => number) => {
  const machine = machineSeconds()
  const own = ownSeconds()
  return (besides) => {
    const now = machineSeconds()
    const all = now.all - machine.all
    const others = now.busy - machine.busy - (ownSeconds() - own) - besides
    return all <= 0 ? 0 : Math.min(1, Math.max(0, others / all))
  }
}
