/**
 * Whether agents can carry their share of a load, by what is known of their machines before the run.
 *
 * @since 0.2.0
 */
import { type AgentProfile } from "../engine/LoadAgent.ts"

/**
 * What one agent is to carry at its busiest. What is not known before the run is `null`: in a closed loop the rates depend on
 * the server, in an open one the number in flight does.
 *
 * @category models
 * @since 0.2.0
 */
export interface Share {
  readonly inFlight: number | null
  readonly requestsPerSecond: number | null
  readonly tokensPerSecond: number | null
}

/**
 * @category models
 * @since 0.2.0
 */
export interface Named {
  readonly name: string
  readonly profile: AgentProfile
}

/** From this part of what was reached in calibration on, other work on the machine is enough to spoil the numbers. */
const NEAR = 0.7
/** Files that an agent has open besides its connections. */
const OWN_FILES = 64
/** Above this share of its processors, others are at work on a machine. */
const BUSY = 0.5

const count = (value: number): string => Math.round(value).toLocaleString("en-US")

const beside = (share: number | null, most: number | undefined, what: string): ReadonlyArray<string> =>
  share === null || most === undefined || share < NEAR * most
    ? []
    : [`${count(share)} ${what} are to come from it, and it reached ${count(most)} in calibration`]

/**
 * A sentence for each thing to know of an agent before the run: that its share is near or above what it can do, that it may not
 * open enough connections, that others are at work there. An agent that was never calibrated is named once.
 *
 * @category constructors
 * @since 0.2.0
 */
export const concerns = (agents: ReadonlyArray<Named>, share: Share): ReadonlyArray<string> => {
  const found = agents.flatMap(({ name, profile }) => {
    const { limits, load, openFiles } = profile
    const problems = [
      ...beside(share.requestsPerSecond, limits?.requests.per_s, "requests/s"),
      ...beside(share.tokensPerSecond, (limits?.paced_tokens ?? limits?.tokens)?.per_s, "tokens/s"),
      ...beside(share.inFlight, limits?.paced_tokens?.in_flight, "streams at a time"),
      ...(openFiles !== null && (share.inFlight ?? 0) + OWN_FILES > openFiles
        ? [
            `${count(share.inFlight ?? 0)} requests in flight need as many connections, and it may have ${count(openFiles)} ` +
              `files open: raise that with ulimit -n`
          ]
        : []),
      ...(load > BUSY ? [`${Math.round(load * 100)} % of its processors were busy in the last minute`] : [])
    ]
    return problems.map((problem) => `${name}: ${problem}.`)
  })
  const unknown = agents.filter(({ profile }) => profile.limits === null).map(({ name }) => name)
  return unknown.length === 0
    ? found
    : [...found, `What ${unknown.join(", ")} can carry is not known: run llmperf calibrate there once.`]
}
