/** Agents that say what a test wants them to, on real sockets. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import {
  type Account,
  AgentFailed,
  type AgentProfile,
  type Handlers,
  LoadAgentRpcs,
  type Piece,
  PROTOCOL,
  type Report,
  WrongVersion
} from "../../src/engine/LoadAgent.ts"
import * as AgentServer from "../../src/fleet/AgentServer.ts"
import type * as Sockets from "../../src/fleet/Sockets.ts"
import type * as Tls from "../../src/fleet/Tls.ts"
import { type Identity } from "./certificates.ts"

export const version = "9.9.9"
export const token = Redacted.make("a token that only tests know".replaceAll(" ", "-"))

export const credentials = (own: Identity, ca: string): Tls.Credentials => ({
  certificate: own.cert,
  key: Redacted.make(own.key),
  ca
})

export const profile: AgentProfile = {
  protocol: PROTOCOL,
  version,
  host: "node-1",
  pid: 101,
  cores: 8,
  memoryBytes: 16e9,
  load: 0.25,
  openFiles: 1_024,
  limits: null,
  session: null
}

const zero = {
  started: 0,
  completed: 0,
  failed: 0,
  cancelled: 0,
  late: 0,
  queued: 0,
  dropped: 0,
  chunks: 0,
  completedTokens: 0,
  completedChunks: 0,
  cacheableTokens: 0,
  cachedTokens: 0
}

export const report = (taken: number, recent: Uint8Array<ArrayBuffer> = new Uint8Array()): Report => ({
  taken,
  leases: 0,
  leftOut: [],
  inFlight: 0,
  isFull: false,
  startedAt: null,
  counters: { ...zero, started: taken },
  recent,
  ended: null,
  proposed: null,
  uncounted: null,
  loopEnded: false,
  dispatch: null,
  health: null,
  spans: null
})

/** What a test sees of an agent: the calls that reached its handlers, and how its runs ended. */
export interface Script {
  readonly profile?: Partial<AgentProfile>
  readonly account?: Effect.Effect<Account, AgentFailed>
  readonly reports?: Stream.Stream<Report, AgentFailed>
  readonly pieces?: Stream.Stream<Piece, AgentFailed>
  readonly onCall?: (call: string) => void
}

const unknown = Effect.fail(new AgentFailed({ description: "it knows nothing of this run" }))

export const handlers = (script: Script = {}): Layer.Layer<Handlers> => {
  const { account = unknown, onCall = () => {}, pieces = Stream.empty, reports = Stream.never } = script
  const own = { ...profile, ...script.profile }
  const told = <A, E>(call: string, effect: Effect.Effect<A, E>) =>
    Effect.andThen(
      Effect.sync(() => onCall(call)),
      effect
    )
  return LoadAgentRpcs.toLayer({
    Hello: (caller) =>
      told(
        "Hello",
        caller.protocol === own.protocol && caller.version === own.version
          ? Effect.succeed(own)
          : Effect.fail(new WrongVersion({ agent: { protocol: own.protocol, version: own.version }, caller }))
      ),
    Clock: () => told("Clock", Effect.map(Clock.monotonicTimeNanos, Number)),
    Prepare: () => told("Prepare", Effect.succeed({ tokenizer: "llama", warmUp: null })),
    Lease: ({ plans }) => told(`Lease ${plans.length}`, Effect.void),
    Run: () =>
      reports.pipe(
        Stream.onStart(Effect.sync(() => onCall("Run"))),
        Stream.ensuring(Effect.sync(() => onCall("Run has ended")))
      ),
    Decide: ({ source }) => told(`Decide ${source}`, Effect.void),
    Stop: ({ how }) => told(`Stop ${how}`, Effect.void),
    Account: () => told("Account", account),
    Collect: () =>
      Stream.onStart(
        pieces,
        Effect.sync(() => onCall("Collect"))
      ),
    Release: () => told("Release", Effect.void)
  })
}

export interface Serving extends Script {
  readonly host?: string
  readonly port?: number
  readonly token?: Redacted.Redacted
  readonly credentials?: Tls.Credentials
  readonly insecure?: boolean
}

/** Serves until the scope closes. Gives where. */
export const serve = Effect.fnUntraced(function* (options: Serving = {}) {
  const context = yield* Layer.build(handlers(options))
  return yield* AgentServer.make({
    address: { host: options.host ?? "127.0.0.1", port: options.port ?? 0 },
    token: options.token ?? token,
    credentials: options.credentials ?? null,
    insecure: options.insecure ?? false
  }).pipe(Effect.provideContext(context))
})

export const calling: Sockets.Calling = { token, credentials: null, version }
