/** What agents on other machines are asked for when their run is over. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { gunzip } from "node:zlib"
import { type Lines } from "../../output/Ndjson.ts"
import { type Agent, AgentLost } from "../Fleet.ts"
import { type Account, type Log, type Piece, type Wanted } from "../LoadAgent.ts"

/** How long after it was cut off an agent has to be there again: it takes some seconds itself to see that we were gone. */
const RETURN_MILLIS = 8_000
/** How long it is tried at least, if that was long ago. */
const FEWEST_MILLIS = 2_000
const RETRY_MILLIS = 250
/** How often in a row nothing at all may come of a file before it is given up. */
const MOST_FAILURES = 4

/** The account of an agent that was lost so many milliseconds ago; `null` when it is not back in time, or was started anew. */
export const account = <E>(agent: Agent<E>, session: string, lostMillis: number): Effect.Effect<Account | null> =>
  agent.account(session).pipe(
    Effect.retry(Schedule.spaced(RETRY_MILLIS)),
    Effect.timeoutOption(Math.max(FEWEST_MILLIS, RETURN_MILLIS - lostMillis)),
    Effect.map(Option.getOrNull),
    Effect.orElseSucceed(() => null)
  )

const unpack = <E>(agent: Agent<E>, { bytes, size }: Piece) =>
  Effect.callback<Uint8Array, AgentLost>((resume) => {
    // A piece never holds more than it says
    gunzip(bytes, { maxOutputLength: Math.max(1, size) }, (error, unpacked) => {
      resume(
        error === null
          ? Effect.succeed(unpacked)
          : Effect.fail(new AgentLost({ agent: agent.name, problem: `its rows are damaged: ${error.message}` }))
      )
    })
  })

/** How many bytes of each file have been handed on. */
export type Collected = { [log in Log]: number }

/**
 * Hands on all lines of a file that an agent has kept, each once: after an interruption it goes on where it was, by what is
 * `collected`. Tells whether they are all here.
 */
export const rows = Effect.fnUntraced(function* <E>(
  agent: Agent<E>,
  wanted: Omit<Wanted, "from">,
  collected: Collected,
  keep: (lines: Lines) => void
) {
  let failures = 0
  while (failures < MOST_FAILURES) {
    const isComplete = yield* agent.collect({ ...wanted, from: collected[wanted.log] }).pipe(
      Stream.runForEach((piece) =>
        Effect.map(unpack(agent, piece), (bytes) => {
          collected[wanted.log] += piece.size
          failures = 0
          keep({ bytes, count: piece.count })
        })
      ),
      Effect.isSuccess
    )
    if (isComplete) return true
    failures++
    yield* Effect.sleep(RETRY_MILLIS)
  }
  return false
})
