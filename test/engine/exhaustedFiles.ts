import * as Effect from "effect/Effect"
import { closeSync, openSync } from "node:fs"
import * as Health from "../../src/engine/Health.ts"

/** Takes every file descriptor that there is. */
const takeAll = (): ReadonlyArray<number> => {
  const taken: Array<number> = []
  try {
    for (;;) taken.push(openSync("/dev/null", "r"))
  } catch {
    return taken
  }
}

/** Watches itself for a while in which it may open no file, and prints what it saw. */
const program = Effect.gen(function* () {
  const sampling = yield* Health.make({ sliceSeconds: 0.05 })
  const taken = takeAll()
  while (sampling.report().slices.length < 3) yield* Effect.sleep(10)
  const { slices } = yield* sampling.stop
  for (const file of taken) closeSync(file)
  process.stdout.write(JSON.stringify(slices))
}).pipe(Effect.scoped)

await Effect.runPromise(program)
