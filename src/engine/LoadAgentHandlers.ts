/**
 * The agent's side of `LoadAgent`: sends what it is told to with a provider of its own.
 *
 * @since 0.2.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type * as Path from "effect/Path"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Provider } from "../provider/Provider.ts"
import { type Transport } from "../provider/Transport.ts"
import { type TokenCounter } from "../workload/TokenCounter.ts"
import type * as Health from "./Health.ts"
import * as AgentRun from "./internal/agentRun.ts"
import * as SessionFolders from "./internal/sessionFolders.ts"
import {
  AgentFailed,
  type AgentProfile,
  type AgentSpec,
  type Handlers,
  LoadAgentRpcs,
  PROTOCOL,
  WrongVersion
} from "./LoadAgent.ts"

/**
 * - `services`: what it sends with; built when the agent is prepared, so that a failure is told to the coordinator
 * - `watch`: watches over the thread of the agent from the start of a run; see `Health`
 * - `about`: who it is; only of an agent that others find
 * - `folder`: where it keeps rows that are to be collected; only of an agent on another machine
 * - `onSession`: is told when a session begins and ends
 *
 * @category models
 * @since 0.2.0
 */
export interface Options<E, R> {
  readonly services: (spec: AgentSpec) => Layer.Layer<Provider | Transport | TokenCounter, E, R>
  readonly watch?: Effect.Effect<Health.Sampling, never, Scope.Scope> | undefined
  readonly about?: Effect.Effect<Omit<AgentProfile, "session">> | undefined
  readonly folder?: string | undefined
  readonly onSession?: ((event: SessionEvent) => Effect.Effect<void>) | undefined
}

/**
 * @category models
 * @since 0.2.0
 */
export interface SessionEvent {
  readonly _tag: "Begun" | "Ended"
  readonly session: string
  readonly runId: string
}

/** A session and the scope of what it sends with, which is closed when its run is over. */
interface Session {
  readonly id: string
  readonly run: AgentRun.AgentRun
  isOver: boolean
}

/** Where the server is may be said in the environment, and that of an agent may say something else. */
const sameServer = (own: string | null, wanted: string | null) =>
  own === wanted
    ? Effect.void
    : Effect.fail(
        new AgentFailed({
          description:
            `it would ask ${own ?? "a provider without an address"}, and the coordinator asks ` +
            `${wanted ?? "a provider without an address"}. Name the server with --api-base, or set the same variables on both`
        })
      )

const failed = (description: string) => new AgentFailed({ description })

/**
 * An agent, over whatever carries the protocol. It has one session at a time; what the last one has left can be had until it is
 * released or another one begins.
 *
 * @category layers
 * @since 0.2.0
 */
export const layer = <E extends { readonly message: string }, R>(
  options: Options<E, R>
): Layer.Layer<Handlers, never, R | FileSystem.FileSystem | Path.Path> =>
  LoadAgentRpcs.toLayer(
    Effect.gen(function* () {
      const { about, folder, onSession = () => Effect.void, services, watch } = options
      const scope = yield* Effect.scope
      const clock = yield* Clock.Clock
      const context = yield* Effect.context<R | FileSystem.FileSystem | Path.Path>()
      const folders = folder === undefined ? null : yield* SessionFolders.make(folder)
      let session: Session | null = null
      let preparing: string | null = null

      /** The session of that name, whose coordinator has just called. */
      const named = (id: string) =>
        Effect.suspend(() => {
          if (session === null || session.id !== id) {
            return Effect.fail(failed("it knows nothing of this run: it was started anew, or works on another one"))
          }
          session.run.heard()
          return Effect.succeed(session.run)
        })
      const busyWith = (): string | null => preparing ?? (session === null || session.isOver ? null : session.id)

      const prepare = Effect.fnUntraced(function* (spec: AgentSpec) {
        const own = yield* Scope.fork(scope)
        const made = yield* Layer.buildWithScope(services(spec), own).pipe(
          Effect.tap((context) => sameServer(Context.get(context, Provider).origin, spec.job.origin)),
          Effect.flatMap((context) =>
            AgentRun.make(spec, watch, spec.keepsRows ? folders : null).pipe(Effect.provideContext(context))
          ),
          Scope.provide(own),
          Effect.mapError(({ message }) => failed(message)),
          Effect.onError((cause) => Scope.close(own, Exit.failCause(cause)))
        )
        const begun: Session = { id: spec.session, run: made, isOver: false }
        session = begun
        const told = { session: spec.session, runId: spec.runId }
        yield* onSession({ _tag: "Begun", ...told })
        yield* made.over.pipe(
          Effect.andThen(
            Effect.sync(() => {
              begun.isOver = true
            })
          ),
          Effect.andThen(Scope.close(own, Exit.void)),
          Effect.andThen(onSession({ _tag: "Ended", ...told })),
          Effect.forkIn(scope)
        )
        return made.ready
      })

      return LoadAgentRpcs.of({
        Hello: (caller) =>
          about === undefined
            ? Effect.die(new Error("an agent of this process is not asked who it is"))
            : Effect.flatMap(about, (profile) =>
                caller.protocol === PROTOCOL && caller.version === profile.version
                  ? Effect.succeed({ ...profile, session: busyWith() })
                  : Effect.fail(new WrongVersion({ agent: { protocol: PROTOCOL, version: profile.version }, caller }))
              ),
        Clock: ({ session: id }) =>
          Effect.suspend(() => {
            if (id !== null && session?.id === id) session.run.heard()
            return Effect.succeed(Number(clock.monotonicTimeNanosUnsafe()))
          }),
        Prepare: (spec) =>
          Effect.suspend(() => {
            const busy = busyWith()
            if (busy !== null) return Effect.fail(failed(`it is busy with ${busy}`))
            if (!SessionFolders.isSessionName(spec.session))
              return Effect.fail(failed("a session has a name of letters, digits, ., _ and -"))
            preparing = spec.session
            return Effect.ensuring(
              prepare(spec),
              Effect.sync(() => {
                preparing = null
              })
            )
          }).pipe(Effect.provideContext(context)),
        Lease: (lease) => Effect.flatMap(named(lease.session), (run) => run.lease(lease)),
        Run: (start) => Stream.unwrap(Effect.map(named(start.session), (run) => run.run(start))),
        Decide: ({ session: id, source }) => Effect.flatMap(named(id), (run) => run.decide(source)),
        Stop: (stop) => Effect.flatMap(named(stop.session), (run) => run.stop(stop)),
        Account: ({ session: id }) => Effect.flatMap(named(id), (run) => run.account),
        Collect: (wanted) =>
          Stream.provideContext(
            Stream.unwrap(Effect.map(named(wanted.session), (run) => run.collect(wanted))),
            context
          ),
        Release: ({ session: id }) =>
          Effect.gen(function* () {
            if (session === null || session.id !== id) return
            const { run } = session
            session = null
            yield* run.abandon
            yield* run.forget
          })
      })
    })
  )
