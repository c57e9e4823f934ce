/** What agents on other machines are asked for when their run is over. */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { gunzip } from "node:zlib"
import { type Agent } from "../Fleet.ts"
import { type Account, type Log, type Piece, type Wanted } from "../LoadAgent.ts"
import { type Accepted } from "./agentChecks.ts"

/** How long after it was cut off an agent has to be there again: it takes some seconds itself to see that we were gone. */
const RETURN_MILLIS = 8_000
/** How long it is tried at least, if that was long ago. */
const FEWEST_MILLIS = 2_000
const RETRY_MILLIS = 250
/** How often in a row nothing at all may come of a file before it is given up. */
const MOST_FAILURES = 4
/** What a piece may unpack to. An agent reads half a MiB at a time, and to the end of a line or a block. */
const MOST_PIECE_BYTES = 64 * 1024 * 1024
/** So many bytes at least must come in so long a time: pieces may come without end, and each just in time. */
const FEWEST_BYTES = 256 * 1024
const FEWEST_BYTES_MILLIS = 30_000

/** The account of an agent that was lost so many milliseconds ago; `null` when it is not back in time, or was started anew. */
export const account = <E>(agent: Agent<E>, session: string, lostMillis: number): Effect.Effect<Account | null> =>
  agent.account(session).pipe(
    Effect.retry(Schedule.spaced(RETRY_MILLIS)),
    Effect.timeoutOption(Math.max(FEWEST_MILLIS, RETURN_MILLIS - lostMillis)),
    Effect.map(Option.getOrNull),
    Effect.orElseSucceed(() => null)
  )

/** What an agent hands over cannot be its rows. */
class Refused extends Data.TaggedError("Refused")<{ readonly problem: string }> {}

const unpack = ({ bytes, size }: Piece) =>
  size < 1 || size > MOST_PIECE_BYTES
    ? Effect.fail(new Refused({ problem: `a piece of ${size} bytes` }))
    : Effect.callback<Uint8Array, Refused>((resume) => {
        // A piece never holds more than it says
        gunzip(bytes, { maxOutputLength: size }, (error, unpacked) => {
          const problem = error?.message ?? (unpacked.length === size ? null : `a piece of other than ${size} bytes`)
          resume(problem === null ? Effect.succeed(unpacked) : Effect.fail(new Refused({ problem })))
        })
      })

/** How many bytes of each file have been handed on. */
export type Collected = { [log in Log]: number }

/**
 * - `Complete`: all there is has been handed on
 * - `CutOff`: the agent does not answer any more
 * - `Refused`: what it hands over cannot be its rows; nothing more is asked for
 */
export type Outcome =
  | { readonly _tag: "Complete" }
  | { readonly _tag: "CutOff" }
  | { readonly _tag: "Refused"; readonly problem: string }

const complete: Outcome = { _tag: "Complete" }
const cutOff: Outcome = { _tag: "CutOff" }

/**
 * Hands on all of a file that an agent has kept, each line once: after an interruption it goes on where it was, by what is
 * `collected`. `accept` takes what is good of a piece, and says what is not.
 */
export const rows = Effect.fnUntraced(function* <E>(
  agent: Agent<E>,
  wanted: Omit<Wanted, "from">,
  collected: Collected,
  accept: (bytes: Uint8Array) => Accepted
) {
  let failures = 0
  let bytesBefore = collected[wanted.log]
  const keep = (piece: Piece) =>
    Effect.gen(function* () {
      const bytes = yield* unpack(piece)
      const { problem } = accept(bytes)
      if (problem !== null) return yield* new Refused({ problem })
      collected[wanted.log] += bytes.length
      failures = 0
    })
  const tooSlow = Effect.suspend(() => {
    const bytes = collected[wanted.log]
    const isSlow = bytes - bytesBefore < FEWEST_BYTES
    bytesBefore = bytes
    return isSlow ? Effect.fail(new Refused({ problem: `${bytes} bytes came, and then hardly any` })) : Effect.void
  }).pipe(Effect.delay(FEWEST_BYTES_MILLIS), Effect.forever)

  const once = (): Effect.Effect<Outcome> =>
    agent.collect({ ...wanted, from: collected[wanted.log] }).pipe(
      Stream.runForEach(keep),
      Effect.raceFirst(tooSlow),
      Effect.as(complete),
      Effect.catchTags({
        AgentLost: () => Effect.succeed(cutOff),
        Refused: ({ problem }) => Effect.succeed<Outcome>({ _tag: "Refused", problem })
      })
    )
  while (failures < MOST_FAILURES) {
    const outcome = yield* once()
    if (outcome._tag !== "CutOff") return outcome
    failures++
    yield* Effect.sleep(RETRY_MILLIS)
  }
  return cutOff
})
