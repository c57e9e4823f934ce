import { type Limit } from "../../domain/CalibrationResults.ts"

/** From here on a thread counts as full. */
const FULL = 0.95

/** What a step of a rising load came to. */
export interface Step {
  readonly perSecond: number
  readonly inFlight: number
  readonly busy: { readonly client: number; readonly server: number }
}

/** Whether more in flight can bring more. */
export const isFull = ({ busy }: Step): boolean => busy.client >= FULL || busy.server >= FULL

/** The best of some steps; the client counts as the limit where both threads were full. */
export const best = (steps: readonly [Step, ...ReadonlyArray<Step>]): Limit => {
  const [first, ...others] = steps
  const { busy, inFlight, perSecond } = others.reduce((a, b) => (b.perSecond > a.perSecond ? b : a), first)
  return {
    per_s: perSecond,
    in_flight: inFlight,
    limit: busy.client >= FULL ? "client" : busy.server >= FULL ? "server" : "none"
  }
}
