/**
 * The agent's side of `LoadAgent`: sends what it is told to with a provider of its own.
 *
 * @since 0.2.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { type Provider } from "../provider/Provider.ts"
import { type Transport } from "../provider/Transport.ts"
import { type TokenCounter } from "../workload/TokenCounter.ts"
import type * as Health from "./Health.ts"
import * as AgentRun from "./internal/agentRun.ts"
import { AgentFailed, type Handlers, LoadAgentRpcs } from "./LoadAgent.ts"

/**
 * - `services`: what it sends with; built when the agent is prepared, so that a failure is told to the coordinator
 * - `watch`: watches over the thread of the agent from the start of the run; see `Health`
 *
 * @category models
 * @since 0.2.0
 */
export interface Options<E, R> {
  readonly services: Layer.Layer<Provider | Transport | TokenCounter, E, R>
  readonly watch?: Effect.Effect<Health.Sampling, never, Scope.Scope> | undefined
}

/**
 * An agent for one run, over whatever carries the protocol.
 *
 * @category layers
 * @since 0.2.0
 */
export const layer = <E extends { readonly message: string }, R>(
  options: Options<E, R>
): Layer.Layer<Handlers, never, R> =>
  LoadAgentRpcs.toLayer(
    Effect.gen(function* () {
      const scope = yield* Effect.scope
      const context = yield* Effect.context<R>()
      let run: AgentRun.AgentRun | null = null
      const prepared = Effect.suspend(() =>
        run === null ? Effect.fail(new AgentFailed({ description: "the agent is not prepared" })) : Effect.succeed(run)
      )
      return LoadAgentRpcs.of({
        Prepare: (spec) =>
          Effect.gen(function* () {
            const services = yield* Layer.buildWithScope(options.services, scope).pipe(
              Effect.mapError(({ message }) => new AgentFailed({ description: message }))
            )
            run = yield* AgentRun.make(spec, options.watch).pipe(Effect.provideContext(services), Scope.provide(scope))
            return run.ready
          }).pipe(Effect.provideContext(context)),
        Lease: (lease) => Effect.flatMap(prepared, (agent) => agent.lease(lease)),
        Run: (start) => Stream.unwrap(Effect.map(prepared, (agent) => agent.run(start))),
        Stop: (stop) => Effect.flatMap(prepared, (agent) => agent.stop(stop)),
        Clock: () => Effect.map(Clock.monotonicTimeNanos, Number)
      })
    })
  )
