import * as Effect from "effect/Effect"
import { getHeapSpaceStatistics, setFlagsFromString } from "node:v8"

const mebibyte = 1024 * 1024

/** Both halves together. */
const youngBytes = 8 * mebibyte
const mostRounds = 100
const objectsPerRound = 2_000

const youngSize = (): number =>
  getHeapSpaceStatistics().find(({ space_name }) => space_name === "new_space")?.space_size ?? youngBytes

const mayGrow = Effect.sync(() => setFlagsFromString("--semi-space-growth-factor=2"))

/** For virtual time: nothing is late there, and rarer collections take less in all. */
export const letHeapGrow = mayGrow

/**
 * Gives the young generation of the heap the size at which a run is measured best, and keeps it there.
 *
 * V8 lets it grow to four times that. Its collections are then rarer and each stops everything for longer, because what is in
 * flight is alive; requests due meanwhile go out late. The size cannot be set in a running program: so it is made to
 * grow by objects that survive, with the flag that `bin.ts` sets to begin small, and is then held by the same flag. Every thread
 * that sends does so for its own heap.
 */
export const settleHeap = Effect.map(mayGrow, () => {
  const held: Array<ReadonlyArray<number>> = []
  for (let round = 0; round < mostRounds && youngSize() < youngBytes; round++) {
    // The flag is that of the process: another thread may just have set it back
    setFlagsFromString("--semi-space-growth-factor=2")
    for (let index = 0; index < objectsPerRound; index++) held.push([index, index, index, index, index, index, index])
  }
  setFlagsFromString("--semi-space-growth-factor=1")
})
