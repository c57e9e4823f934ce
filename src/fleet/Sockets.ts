/**
 * Agents at fixed addresses, each over a connection of its own: a reader that is slow for one does not hold up the others.
 *
 * A connection that is lost fails what was under way on it, and is made again by itself: nothing is sent twice. What an agent
 * has kept can then be asked for.
 *
 * @since 0.2.0
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as RpcClient from "effect/rpc/RpcClient"
import { RpcClientError } from "effect/rpc/RpcClientError"
import * as Socket from "effect/socket/Socket"
import * as Fleet from "../engine/Fleet.ts"
import { AgentFailed, type AgentProfile, PROTOCOL, WrongVersion } from "../engine/LoadAgent.ts"
import * as AgentAddress from "./AgentAddress.ts"
import * as AgentToken from "./AgentToken.ts"
import * as Connections from "./internal/connections.ts"
import { type Situation, socketProblem } from "./internal/socketProblem.ts"
import * as Wire from "./internal/wire.ts"
import * as Tls from "./Tls.ts"

/**
 * How agents are called: with a token, with TLS or without (`credentials` is then `null`). `version` is that of llmperf here;
 * agents have the same.
 *
 * @category models
 * @since 0.2.0
 */
export interface Calling {
  readonly token: Redacted.Redacted
  readonly credentials: Tls.Credentials | null
  readonly version: string
}

/**
 * An agent that has answered.
 *
 * @category models
 * @since 0.2.0
 */
export interface Reached extends Fleet.Agent {
  readonly profile: AgentProfile
}

const OPEN_MILLIS = 3_000
const HELLO_MILLIS = 5_000
/** An agent is lost when nothing is heard of it for so long. */
const SILENCE_SECONDS = 5

/**
 * Later than `SILENCE_SECONDS`, because a large lease on a slow network leaves no room for answers. It is for connections that
 * nobody asks anything over, and for those that lead nowhere and must be made again.
 */
const pings = { pingInterval: 2_000, pingTimeout: 10_000 } as const

/** Soon at first, and then every second for as long as the agent is wanted. */
const retryPolicy = Schedule.min([Schedule.exponential(100), Schedule.spaced(1_000)])

/** Says in words what has become of the connection. */
class ConnectionError extends RpcClientError {
  problem = ""

  override get message(): string {
    return this.problem
  }
}

type Protocol = RpcClient.Protocol["Service"]

const inWords = (protocol: Protocol, situation: () => Situation): Protocol => {
  const explained = ({ reason }: RpcClientError) =>
    Object.assign(new ConnectionError({ reason }), { problem: socketProblem(reason, situation()) })
  return RpcClient.Protocol.of({
    ...protocol,
    run: (clientId, onMessage) =>
      protocol.run(clientId, (message) =>
        onMessage(message._tag === "ClientProtocolError" ? { ...message, error: explained(message.error) } : message)
      ),
    send: (...message) => Effect.mapError(protocol.send(...message), explained)
  })
}

const isOwn = (error: unknown): error is RpcClientError | AgentToken.Unauthorized | WrongVersion | AgentFailed =>
  error instanceof RpcClientError ||
  error instanceof AgentToken.Unauthorized ||
  error instanceof WrongVersion ||
  error instanceof AgentFailed

/** Why an agent cannot be used, of whatever came instead of its answer. */
const why = (cause: Cause.Cause<unknown>): string => {
  if (Cause.hasInterruptsOnly(cause)) return "it is just ending. Start it again"
  const error = Cause.squash(cause)
  return isOwn(error)
    ? error instanceof AgentFailed
      ? error.description
      : error.message
    : "what it says is not understood. It may be an agent of a very different version"
}

const silent = new AgentFailed({
  description: "it takes the connection and then says nothing. Does the agent hang, or is it another program?"
})

const named = (address: AgentAddress.AgentAddress, problem: string) =>
  new AgentFailed({ description: `${AgentAddress.format(address)}: ${problem}` })

/**
 * Connects to an agent and asks who it is. It fails when the agent is not there, does not let us in, or is of another version;
 * the message says which one it is and what to do. The connection ends with the scope.
 *
 * @category constructors
 * @since 0.2.0
 */
export const connect = Effect.fn("Sockets.connect")(function* (
  address: AgentAddress.AgentAddress,
  { credentials, token, version }: Calling
): Effect.fn.Return<Reached, AgentFailed, Scope.Scope> {
  const scope = yield* Effect.flatMap(Effect.scope, (parent) => Scope.fork(parent))
  const situation = { port: address.port, isSecure: credentials !== null, isFirst: true }
  const connected = Latch.makeUnsafe()
  // A connection that shows no token is closed: one that was made anew, and over which nobody asks anything, too
  let greet: Effect.Effect<unknown> = Effect.void
  const socket = yield* Connections.dial({
    ...address,
    openMillis: OPEN_MILLIS,
    secure: credentials === null ? null : Tls.clientOptions(credentials, address.host)
  })

  return yield* Effect.gen(function* () {
    const protocol = yield* RpcClient.makeProtocolSocket({ ...pings, retryPolicy }).pipe(
      Effect.provideService(Socket.Socket, socket),
      Effect.provideService(RpcClient.ConnectionHooks, {
        onConnect: Effect.andThen(
          connected.open,
          Effect.suspend(() => Effect.asVoid(greet))
        ),
        onDisconnect: connected.close
      })
    )
    const client = yield* RpcClient.make(AgentToken.SecuredRpcs, { disableTracing: true }).pipe(
      Effect.provideService(
        RpcClient.Protocol,
        inWords(protocol, () => situation)
      )
    )
    const profile = yield* client.Hello({ protocol: PROTOCOL, version }).pipe(
      Effect.timeoutOrElse({ duration: OPEN_MILLIS + HELLO_MILLIS, orElse: () => Effect.fail(silent) }),
      Effect.catchCause((cause) => Effect.fail(named(address, why(cause))))
    )
    situation.isFirst = false

    const agent = Fleet.fromClient({
      name: AgentAddress.format(address),
      client,
      profile,
      silenceSeconds: SILENCE_SECONDS,
      close: Scope.close(scope, Exit.void)
    })
    greet = Effect.forkIn(Effect.ignore(agent.clock(null)), scope)
    // What it has kept may be asked for just after the connection was lost
    const again = Effect.timeoutOption(connected.await, SILENCE_SECONDS * 1_000)
    return {
      ...agent,
      profile,
      account: (session) => Effect.andThen(again, agent.account(session)),
      collect: (wanted) => Stream.unwrap(Effect.as(again, agent.collect(wanted))),
      release: (session) => Effect.andThen(again, agent.release(session))
    } satisfies Reached
  }).pipe(
    Effect.provide([AgentToken.layerClient(token), Wire.layerClientSerialization]),
    Scope.provide(scope),
    Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
  )
})

const joined = (problems: ReadonlyArray<AgentFailed>, count: number): AgentFailed =>
  problems.length === 1 && count === 1
    ? new AgentFailed({ description: problems[0]?.description ?? "" })
    : new AgentFailed({
        description: [
          `${problems.length} of ${count} agents cannot be used`,
          ...problems.map(({ description }) => `  ${description}`)
        ].join("\n")
      })

/** What is wrong with agents that have all answered. */
const conflicts = (agents: ReadonlyArray<Reached>): ReadonlyArray<AgentFailed> => {
  const first = new Map<string, string>()
  return agents.flatMap(({ name, profile: { host, pid, session } }) => {
    const problem = (description: string) => [new AgentFailed({ description: `${name}: ${description}` })]
    const who = `${host} ${pid}`
    const other = first.get(who)
    if (other !== undefined)
      return problem(`it is the same agent as ${other} (process ${pid} on ${host}). Name it once`)
    first.set(who, name)
    return session === null
      ? []
      : problem(
          `it works for another run (${session}). Wait until that has ended, or start one more agent at another port`
        )
  })
}

/**
 * Connects to all of them at the same time. It fails when one of them cannot be used, with what is wrong with each: then nothing
 * has been asked of any of them but who they are.
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = Effect.fn("Sockets.make")(function* (
  options: Calling & { readonly addresses: ReadonlyArray<AgentAddress.AgentAddress> }
): Effect.fn.Return<ReadonlyArray<Reached>, AgentFailed, Scope.Scope> {
  const answers = yield* Effect.forEach(options.addresses, (address) => Effect.result(connect(address, options)), {
    concurrency: "unbounded"
  })
  const agents = answers.flatMap((answer) => (Result.isSuccess(answer) ? [answer.success] : []))
  const problems = [
    ...answers.flatMap((answer) => (Result.isFailure(answer) ? [answer.failure] : [])),
    ...conflicts(agents)
  ]
  if (problems.length === 0) return agents
  yield* Effect.forEach(agents, ({ close }) => close, { discard: true })
  return yield* joined(problems, answers.length)
})

/**
 * See `make`.
 *
 * @category layers
 * @since 0.2.0
 */
export const layer = (options: Parameters<typeof make>[0]): Layer.Layer<Fleet.Fleet, AgentFailed> =>
  Layer.effect(
    Fleet.Fleet,
    Effect.map(make(options), (agents) => ({ agents }))
  )
