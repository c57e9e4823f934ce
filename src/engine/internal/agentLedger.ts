/** What an agent was given to send, and what it has said of it so far. */
import { type RequestPlan } from "../../domain/RequestPlan.ts"

/**
 * - `open`: the requests it was given and of which it has not said what became of them; `ended`: those that have ended; `leftOut`:
 *   those that found no place when they were due
 * - `told`: how many plans have gone to it, the last ones of the run included when `isLastTold`
 * - `taken`: how many of them it has begun or left out
 * - `heldTokens`: the input tokens of the plans it has not begun
 */
export class AgentLedger {
  readonly open = new Set<number>()
  readonly ended = new Set<number>()
  readonly leftOut = new Set<number>()
  told = 0
  isLastTold = false
  taken = 0
  heldTokens = 0
  /** Of the plans it has not begun, in their order. */
  private readonly tokens: Array<number> = []

  /** How many plans it has not begun. */
  get held(): number {
    return this.tokens.length
  }

  give({ id, inputTokens }: RequestPlan): void {
    this.open.add(id)
    this.tokens.push(inputTokens)
    this.heldTokens += inputTokens
  }

  /** It has begun or left out so many in all. */
  began(taken: number): void {
    for (const tokens of this.tokens.splice(0, taken - this.taken)) this.heldTokens -= tokens
    this.taken = taken
  }

  end(ids: ReadonlyArray<number>): void {
    for (const id of ids) {
      this.open.delete(id)
      this.ended.add(id)
    }
  }

  leaveOut(ids: ReadonlyArray<number>): void {
    for (const id of ids) {
      this.open.delete(id)
      this.leftOut.add(id)
    }
  }

  /** The ids of those of which it has said nothing, in order. */
  openIds(): ReadonlyArray<number> {
    return [...this.open].toSorted((a, b) => a - b)
  }

  /** The ids of those that have ended and are not among these, in order. */
  endedWithout(ids: ReadonlySet<number>): ReadonlyArray<number> {
    return [...this.ended].filter((id) => !ids.has(id)).toSorted((a, b) => a - b)
  }
}
