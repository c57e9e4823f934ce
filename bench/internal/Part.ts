import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { type Row } from "./Row.ts"
import { Setup } from "./Setup.ts"

/**
 * A part of the bench that was run: its settings, its table, and the single runs behind it for `--json`. `failed` says what
 * went wrong that must not: the bench then ends with 1, whatever the bars say. `sides` names the two sides where they are not
 * llmperf and the hand-written client.
 */
export interface PartResult {
  readonly name: string
  readonly settings: string
  readonly rows: ReadonlyArray<Row>
  readonly runs: ReadonlyArray<unknown>
  readonly failed?: string | null
  readonly sides?: readonly [ours: string, other: string]
}

/** Runs two sides in turn, ours first, as many times as there are pairs. */
export const alternate = Effect.fnUntraced(function* <A, B, E1, R1, E2, R2>(
  name: string,
  sides: { readonly ours: Effect.Effect<A, E1, R1>; readonly other: Effect.Effect<B, E2, R2> }
) {
  const { pairs } = yield* Setup
  const ours: Array<A> = []
  const other: Array<B> = []
  for (let pair = 1; pair <= pairs; pair++) {
    yield* Console.error(`${name}: pair ${pair} of ${pairs}`)
    ours.push(yield* sides.ours)
    other.push(yield* sides.other)
  }
  return { ours, other }
})
