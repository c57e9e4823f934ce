import * as Console from "effect/Console"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as LivePanel from "../../output/LivePanel.ts"
import * as Screen from "../../output/Screen.ts"
import { Interruption } from "../Interruption.ts"

const AGAIN = "Ctrl-C again stops at once."

/**
 * `whileSending` ends at the first Ctrl-C (SIGTERM, SIGHUP); the run waits for it while it sends. From its beginning until the scope closes, the first Ctrl-C does not
 * interrupt the program: when nothing is sent any more it does not keep the results from being written. Says what comes now, for
 * without a word that looks like a hang; `graceSeconds` are `null` where nothing needs to be said of the requests in flight.
 */
export const userStop = Effect.fnUntraced(function* (graceSeconds: number | null, quiet: boolean) {
  const scope = yield* Effect.scope
  const screen = yield* Screen.detect("stderr")
  const interruption = yield* Interruption
  const asked = yield* Deferred.make<void>()
  let sending = true
  const say = (text: string) =>
    // On a terminal, where the panel stands, which goes on below.
    quiet ? Effect.void : Console.error(`${screen.animate ? LivePanel.erase : ""}${text} ${AGAIN}`)
  const first = Effect.gen(function* () {
    yield* interruption
    if (!sending) return yield* say("Writing the results.")
    if (graceSeconds !== null) {
      yield* say(`Stopping: no new requests; those in flight have ${graceSeconds} s to end.`)
    }
    yield* Deferred.succeed(asked, undefined)
  })
  const whileSending = Effect.andThen(Effect.forkIn(first, scope), Deferred.await(asked)).pipe(
    Effect.ensuring(
      Effect.sync(() => {
        sending = false
      })
    )
  )
  return { whileSending }
})
