import * as Effect from "effect/Effect"
import { AgentFailed } from "../../engine/LoadAgent.ts"
import * as AgentAddress from "../AgentAddress.ts"
import { type DirectoryError } from "./directory.ts"

/** How often it is looked again, in milliseconds. */
const LOOK_MILLIS = 500
/** Agents that are asked at a time. */
const AT_A_TIME = 64

/**
 * - `list`: those that are said to be there
 * - `ping`: fails when one is not
 * - `expect`: how many are wanted; `null` for all there are, as soon as there is any
 * - `where`: where it is looked, for messages
 */
export interface Options<R> {
  readonly list: Effect.Effect<ReadonlyArray<AgentAddress.AgentAddress>, DirectoryError, R>
  readonly ping: (address: AgentAddress.AgentAddress) => Effect.Effect<void, { readonly message: string }>
  readonly expect: number | null
  readonly withinSeconds: number
  readonly where: string
}

/** An agent that was listed, and why it does not answer; `null` when it does. */
interface Seen {
  readonly address: AgentAddress.AgentAddress
  readonly problem: string | null
}

/** What was seen the last time, for whoever has waited in vain. */
const inVain = <R>(options: Options<R>, seen: ReadonlyArray<Seen>, problem: string | null): AgentFailed => {
  const answering = seen.filter((one) => one.problem === null).length
  const none = problem === null && seen.length === 0
  const lines = [
    ...(problem === null ? [] : [problem]),
    ...seen.map((one) => `${AgentAddress.format(one.address)}: ${one.problem ?? "it answers"}`),
    ...(none ? ["none is there. Start some with the same --cluster: llmperf agent --cluster …"] : [])
  ]
  return new AgentFailed({
    description: [
      `${answering} of ${options.expect ?? "one or more"} agents found within ${options.withinSeconds} s: ${options.where}`,
      ...lines.map((line) => `  ${line}`)
    ].join("\n")
  })
}

/**
 * Looks until as many as are wanted are there, and gives all that answer, in the order of the list. Listed is not there: of one that
 * was killed a moment ago nobody has said so.
 */
export const search = Effect.fnUntraced(function* <R>(
  options: Options<R>
): Effect.fn.Return<ReadonlyArray<AgentAddress.AgentAddress>, AgentFailed, R> {
  const wanted = options.expect ?? 1
  let seen: ReadonlyArray<Seen> = []
  let problem: string | null = null
  const look = Effect.gen(function* () {
    const listed = yield* options.list
    problem = null
    seen = yield* Effect.forEach(
      listed,
      (address) =>
        Effect.match(options.ping(address), {
          onSuccess: (): Seen => ({ address, problem: null }),
          onFailure: ({ message }): Seen => ({ address, problem: message })
        }),
      { concurrency: AT_A_TIME }
    )
  }).pipe(
    Effect.catchTag("DirectoryError", ({ message, passes }) => {
      problem = message
      return passes ? Effect.void : Effect.fail(new AgentFailed({ description: message }))
    })
  )
  return yield* Effect.gen(function* () {
    while (true) {
      yield* look
      const answering = seen.filter((one) => one.problem === null)
      if (problem === null && answering.length >= wanted) return answering.map(({ address }) => address)
      yield* Effect.sleep(LOOK_MILLIS)
    }
  }).pipe(
    Effect.timeoutOrElse({
      duration: options.withinSeconds * 1_000,
      orElse: () => Effect.suspend(() => Effect.fail(inVain(options, seen, problem)))
    })
  )
})
