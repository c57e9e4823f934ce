/**
 * How many plans an agent is to hold that it has not begun: enough that none of its slots waits for one, and none to spare at the
 * end, when every plan that waits with one agent is missing from a free slot of another.
 */
import { type RequestPlan } from "../../domain/RequestPlan.ts"

/** `held`: plans it was given and has not begun; `free`: slots that wait for one. Without a limit of tokens for the closed loop, where as many are in flight anyway. */
export interface Stock {
  readonly slots: number
  readonly free: number
  readonly held: number
}

/**
 * How many it is to hold in a closed loop when no slot waits: one for each slot, fewer as the plans run out, and none once no more
 * `remain` than there are slots in all.
 */
export const spare = (remaining: number, slots: number, allSlots: number): number =>
  Math.max(0, Math.min(slots, Math.floor(((remaining - allSlots) * slots) / (2 * allSlots))))

/** How many more an agent is to get in a closed loop. */
export const wanted = ({ free, held, slots }: Stock, remaining: number, allSlots: number): number =>
  spare(remaining, slots, allSlots) + free - held

/** As many as possible for each, in all exactly `total`. */
export const split = (total: number, parts: number, index: number): number =>
  Math.floor(total / parts) + (index < total % parts ? 1 : 0)

/** What all agents hold together at most in an open loop, as in the window of prompts that are built ahead. */
const MOST_HELD = 4_096
const MOST_TOKENS = 8_000_000
// These may be held whatever their length: an agent must not be without when the next is due.
const FEWEST_HELD = 4

/** Whether an agent takes one more in an open loop, of `parts` agents. */
export const hasRoom = (held: number, heldTokens: number, parts: number): boolean =>
  held < FEWEST_HELD || (held < MOST_HELD / parts && heldTokens < MOST_TOKENS / parts)

/** What goes to an agent in one call. The thread that reads its sockets decodes it, in a millisecond or two. */
const MOST_CHARACTERS = 512 * 1024

/** Plans in parts of no more than that, but of one at least; one part without plans when there are none. */
export const parts = (plans: ReadonlyArray<RequestPlan>): ReadonlyArray<ReadonlyArray<RequestPlan>> => {
  const all: Array<Array<RequestPlan>> = [[]]
  let characters = 0
  for (const plan of plans) {
    const { length } = plan.prompt
    if (characters > 0 && characters + length > MOST_CHARACTERS) {
      all.push([])
      characters = 0
    }
    all.at(-1)?.push(plan)
    characters += length
  }
  return all
}
