import * as Channel from "effect/Channel"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { type ClientExchange } from "../../domain/CalibrationResults.ts"
import { type RequestPlan } from "../../domain/RequestPlan.ts"
import { type TokenEvent } from "../../domain/TokenEvent.ts"
import { type Service, Unread } from "../../provider/Provider.ts"

/** A request as it is seen so far. */
export interface Observed extends ClientExchange {
  sentAt: number
  readonly chunkAt: Array<number>
  isComplete: boolean
}

const note = (seen: Observed, events: ReadonlyArray<TokenEvent>): void => {
  for (const event of events) {
    if (event._tag === "Sent") seen.sentAt = event.at
    else if (event._tag === "Content") for (const at of event.at) seen.chunkAt.push(at)
    else if (event._tag === "Ended") seen.isComplete = true
  }
}

/**
 * The same provider, whose stamps are kept in `seen` by the ids of requests, those too that nobody reads because the request
 * is cancelled. It costs something per request and per batch, not per token.
 */
export const observing = (
  provider: Service,
  idOf: (plan: RequestPlan) => string,
  seen: Map<string, Observed>
): Service => ({
  ...provider,
  stream: (plan) => {
    const channel = Stream.toChannel(provider.stream(plan))
    const transform = Channel.fromTransform((_upstream, scope) =>
      Effect.flatMap(Unread, (unread) => {
        const observed: Observed = { sentAt: 0, chunkAt: [], isComplete: false }
        seen.set(idOf(plan), observed)
        const noted = <Events extends ReadonlyArray<TokenEvent>>(events: Events): Events => {
          note(observed, events)
          return events
        }
        return Channel.toPullScoped(channel, scope).pipe(
          Effect.provideService(Unread, (events) => unread(noted(events))),
          Effect.map((pull) => Effect.map(pull, noted))
        )
      })
    )
    return Stream.fromChannel(transform)
  }
})
