/**
 * @title A sender of one's own
 *
 * A sender makes ready, starts the clock of the run, and gives a stream of requests that have ended; see `Sender`. This one sends from
 * this thread like `LocalSender`, but begins on a full minute, so that tests on several machines begin together without a coordinator.
 * `examples/12_run-new-sender.ts` runs it.
 */
import { Clock, Effect } from "effect"
import * as LocalSender from "../src/engine/LocalSender.ts"
import type { MakeSender } from "../src/engine/Sender.ts"

const MINUTE_MILLIS = 60_000

const untilFullMinute = Effect.gen(function* () {
  const now = yield* Clock.currentTimeMillis
  yield* Effect.sleep(MINUTE_MILLIS - (now % MINUTE_MILLIS))
})

/** Everything but the start is left to the sender that there is. */
export const onTheMinute: MakeSender = (run) =>
  Effect.map(LocalSender.make(run), (sender) => ({
    ...sender,
    start: Effect.andThen(untilFullMinute, sender.start)
  }))
