/** The main thread's side of counting on a worker thread. */
import * as Effect from "effect/Effect"
import * as WorkerCalls from "./WorkerCalls.ts"

// Large enough that a message costs little per text, small enough that a closing scope never waits long.
const TEXTS_PER_MESSAGE = 128

/** Counts on the worker of the platform. The worker ends with the scope. */
export const make = Effect.fnUntraced(function* (name: string) {
  const count = yield* WorkerCalls.make<string, number>({
    tokenizer: name,
    callsPerMessage: TEXTS_PER_MESSAGE,
    gatherMillis: 20
  })
  return { name, count }
})
