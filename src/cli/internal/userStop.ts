import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as LivePanel from "../../output/LivePanel.ts"
import * as Screen from "../../output/Screen.ts"
import { Interruption } from "../Interruption.ts"

/** Ends at the first Ctrl-C, and says what comes now: without a word the grace looks like a hang. */
export const userStop = Effect.fnUntraced(function* (graceSeconds: number, quiet: boolean) {
  yield* yield* Interruption
  if (quiet) return
  const screen = yield* Screen.detect("stderr")
  // On a terminal, where the panel stands, which goes on below.
  yield* Console.error(
    `${screen.animate ? LivePanel.erase : ""}Stopping: no new requests; those in flight have ${graceSeconds} s to end. Ctrl-C again stops at once.`
  )
})
