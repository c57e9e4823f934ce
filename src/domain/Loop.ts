/**
 * When the requests of a run are sent.
 *
 * @since 0.2.0
 */
import * as Schema from "effect/Schema"
import { WhenFull } from "./RunConfig.ts"

/**
 * - `Closed`: so many at a time, the next as soon as one has ended
 * - `Open`: each when it is due. `maxInFlight`: most requests in flight, `null` for no limit; `whenFull`: what becomes of one that is
 *   due while so many are
 *
 * @category models
 * @since 0.2.0
 */
export const Loop = Schema.TaggedUnion({
  Closed: { concurrency: Schema.Int },
  Open: { maxInFlight: Schema.NullOr(Schema.Int), whenFull: WhenFull }
})

/**
 * @category models
 * @since 0.2.0
 */
export type Loop = typeof Loop.Type

/**
 * How many requests may be in flight, `null` for no limit.
 *
 * @category reading
 * @since 0.2.0
 */
export const placesOf = (loop: Loop): number | null => (loop._tag === "Closed" ? loop.concurrency : loop.maxInFlight)

/**
 * The same loop with another number of places. An open loop without a limit stays without.
 *
 * @category constructors
 * @since 0.2.0
 */
export const withPlaces = (loop: Loop, places: number): Loop => {
  if (loop._tag === "Closed") return { ...loop, concurrency: places }
  return loop.maxInFlight === null ? loop : { ...loop, maxInFlight: places }
}
