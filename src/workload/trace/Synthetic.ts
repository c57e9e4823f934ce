/**
 * Makes a schedule from an arrival process and distributions of lengths, when there is no trace.
 *
 * @since 0.2.0
 */
import * as Result from "effect/Result"
import type { Schedule } from "../../domain/Schedule.ts"
import * as Sampling from "../../domain/Sampling.ts"
import type * as Arrival from "../Arrival.ts"
import * as Columns from "../internal/scheduleColumns.ts"
import * as Lengths from "../Lengths.ts"
import type * as PythonRandom from "../PythonRandom.ts"

/**
 * Conversations instead of single requests: every arrival begins one.
 *
 * - `turns`: requests of each
 * - `thinkSeconds`: mean time from sending one turn to sending the next; half of it always passes, the rest is exponential
 *
 * @category models
 * @since 0.2.0
 */
export interface Conversations {
  readonly turns: number
  readonly thinkSeconds: number
}

/**
 * - `arrivals`: when requests are due, read to their end
 * - `input`, `output`: lengths in tokens; of an input the shortest allowed is what `minimumInputTokens` says for an answer
 *   of so many tokens
 * - `conversations`: `null` for single requests
 *
 * @category models
 * @since 0.2.0
 */
export interface Options {
  readonly arrivals: Arrival.Arrivals
  readonly input: Lengths.Distribution
  readonly output: Lengths.Distribution
  readonly minimumInputTokens: (outputTokens: number) => number
  readonly conversations: Conversations | null
}

/**
 * Tokens of a block in the schedules of conversations.
 *
 * @category constants
 * @since 0.2.0
 */
export const BLOCK_TOKENS = 64

/** Offsets are whole microseconds: shorter to write, and far finer than any sender. */
const PER_SECOND = 1_000_000

/**
 * Draws the schedule, its offsets rounded to microseconds. Times, lengths and pauses come from forks of `random`, so that each stays the same when the others
 * change.
 *
 * In a conversation the prompt of a turn is all that was said before and a new part of the drawn length. It begins with the
 * blocks of the turn before, so that a server with a prefix cache finds them.
 *
 * Fails with `ImpossibleLength` when a distribution gives no usable length.
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = (
  options: Options,
  random: PythonRandom.PythonRandom
): Result.Result<Schedule, Lengths.ImpossibleLength> => {
  const lengths = random.fork("lengths")
  const pauses = random.fork("pauses")
  const columns = Columns.make()
  const { turns = 1, thinkSeconds = 0 } = options.conversations ?? {}
  let row = 0
  let session = 0
  let blocks = 0

  for (const arrival of options.arrivals) {
    if (options.conversations !== null) session++
    let due = arrival
    let said = 0
    const own: Array<number> = []
    for (let turn = 0; turn < turns; turn++) {
      const output = Lengths.positiveInt(lengths, options.output)
      if (Result.isFailure(output)) return Result.fail(output.failure)
      const { tokens } = output.success
      const input = Lengths.draw(lengths, options.input, options.minimumInputTokens(tokens))
      if (Result.isFailure(input)) return Result.fail(input.failure)
      const inputTokens = said + input.success.tokens
      if (turns > 1) {
        while (own.length < Math.floor(inputTokens / BLOCK_TOKENS)) own.push(blocks++)
        for (const id of own) columns.addBlock(id)
      }
      columns.add(++row, Math.round(due * PER_SECOND) / PER_SECOND, inputTokens, tokens, session)
      said = inputTokens + tokens
      due += (thinkSeconds / 2) * (1 + Sampling.exponential(pauses.random))
    }
  }
  const { schedule } = columns.finish("seconds", BLOCK_TOKENS)
  // Turns of several conversations lie between each other; rows are numbered in the order in which they are due
  return Result.succeed({ ...schedule, id: schedule.id.map((_, i) => i + 1) })
}
