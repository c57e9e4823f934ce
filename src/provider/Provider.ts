/**
 * How to ask an API: the service that sends one planned request and reports what comes back.
 *
 * There is one file per API beside this one, each with `make`, `layer` and `layerConfig`. Swapping the API is swapping
 * the layer; tests and the virtual clock provide their own.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Stream from "effect/Stream"
import { type LlmError } from "../domain/LlmError.ts"
import { type RequestPlan } from "../domain/RequestPlan.ts"
import { type TokenEvent } from "../domain/TokenEvent.ts"

/**
 * - `name`: the API, as `--llm-api` spells it
 * - `origin`: scheme, host and port the requests go to, for opening connections ahead; `null` when there is no socket
 * - `url`: the address that is asked, without secrets, as messages name it; left out where it is not known, or not one alone
 * - `unsetKey`: the environment variable that would hold the key, where none is sent because that is not set
 * - `stream(plan)`: sends the request when run, and yields its events as they arrive. It ends after `Ended`, or fails
 *   with an `LlmError`; interrupting it closes the connection
 *
 * @category models
 * @since 0.1.0
 */
export interface Service {
  readonly name: string
  readonly origin: string | null
  readonly url?: string | undefined
  readonly unsetKey?: string | undefined
  readonly stream: (plan: RequestPlan) => Stream.Stream<TokenEvent, LlmError>
}

/**
 * Where a provider leaves the events that had arrived but were not read yet when its stream is interrupted, so that a
 * request that was cancelled is known to have been sent. By default they are dropped.
 *
 * @category references
 * @since 0.1.0
 */
export const Unread = Context.Reference<(events: ReadonlyArray<TokenEvent>) => void>("llmperf/provider/Unread", {
  defaultValue: () => () => {}
})

/**
 * @category services
 * @since 0.1.0
 */
export class Provider extends Context.Service<Provider, Service>()("llmperf/provider/Provider") {}
