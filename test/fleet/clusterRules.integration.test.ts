/** The rules of docs/cluster.md, each against a failure that Effect Cluster has without it. Agents are in this process. */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as EntityAddress from "effect/cluster/EntityAddress"
import * as EntityId from "effect/cluster/EntityId"
import * as EntityType from "effect/cluster/EntityType"
import * as Envelope from "effect/cluster/Envelope"
import * as Runners from "effect/cluster/Runners"
import * as ShardId from "effect/cluster/ShardId"
import * as Snowflake from "effect/cluster/Snowflake"
import * as RpcClient from "effect/rpc/RpcClient"
import * as Socket from "effect/socket/Socket"
import { AgentFailed } from "../../src/engine/LoadAgent.ts"
import * as Connections from "../../src/fleet/internal/connections.ts"
import * as Wire from "../../src/fleet/internal/wire.ts"
import { until } from "../cli/processes.ts"
import * as Agents from "./agents.ts"
import * as Certificates from "./certificates.ts"
import * as ClusterAgents from "./clusterAgents.ts"

const { spec } = ClusterAgents
const { session } = spec
const start = { session, monotonicNanos: 0, epochSeconds: 0 }

/** Reports without end, one each so many milliseconds. */
const ticking = (millis: number) =>
  Stream.fromEffectRepeat(
    Effect.delay(
      Effect.sync(() => Agents.report(1)),
      millis
    )
  )

/** One agent that is found, and its calls. */
const single = Effect.fnUntraced(function* (script: Agents.Script = {}) {
  const pods = yield* ClusterAgents.pods
  const calls: Array<string> = []
  yield* pods.start(1, { ...script, onCall: (call) => calls.push(call) })
  pods.list([1])
  const [agent] = yield* ClusterAgents.find(ClusterAgents.finding(pods.cluster, { expect: 1 }))
  assert.isDefined(agent)
  return { agent, calls, pods }
})

const timesIn = (calls: ReadonlyArray<string>, call: string): number => calls.filter((one) => one === call).length

describe("rule 1: a call is never sent twice", () => {
  it.live("when its connection breaks it fails at once, and the agent that is still there does not see it again", () =>
    Effect.gen(function* () {
      const pods = yield* ClusterAgents.pods
      const calls: Array<string> = []
      const script = { reports: ticking(50), onCall: (call: string) => calls.push(call) }
      const listening = { host: "127.0.0.1", port: pods.port }
      yield* pods.start(2, script, { from: listening })
      const way = yield* ClusterAgents.cutter({ host: "127.0.0.2", port: pods.port }, listening)
      pods.list([2])
      const [agent] = yield* ClusterAgents.find(ClusterAgents.finding(pods.cluster, { expect: 1 }))
      assert.isDefined(agent)
      const running = yield* Effect.forkChild(Effect.exit(Stream.runDrain(agent.run(start))))
      yield* until(() => timesIn(calls, "Run") === 1, "the run begins")
      const before = way.made()
      way.cut()
      const exit = yield* Fiber.join(running)
      assert.match(String(exit), /AgentLost.*127\.0\.0\.2.*the connection was closed at its side/)
      // The agent was told, too, by the end of the connection
      yield* until(() => timesIn(calls, "Run has ended") === 1, "the agent ends the run")

      // It can be asked what it knows at once. That makes a new connection, over which a call that waited would come
      yield* Effect.flip(agent.account(session))
      assert.isAbove(way.made(), before)
      assert.strictEqual(timesIn(calls, "Account"), 1)
      yield* agent.clock(null)
      yield* Effect.sleep(1_500)
      assert.strictEqual(timesIn(calls, "Run"), 1)
    }).pipe(Effect.scoped)
  )

  it.live("a lease on its way when the connection breaks comes to nothing", () =>
    Effect.gen(function* () {
      const pods = yield* ClusterAgents.pods
      const calls: Array<string> = []
      const listening = { host: "127.0.0.1", port: pods.port }
      yield* pods.start(2, { onCall: (call) => calls.push(call) }, { from: listening })
      const way = yield* ClusterAgents.cutter({ host: "127.0.0.2", port: pods.port }, listening)
      pods.list([2])
      const [agent] = yield* ClusterAgents.find(ClusterAgents.finding(pods.cluster, { expect: 1 }))
      assert.isDefined(agent)
      way.cut()
      const lease = { session, number: 1, plans: ClusterAgents.plans(1, 3), last: true, places: null, reportAt: 0 }
      yield* Effect.flip(agent.lease(lease))
      yield* Effect.sleep(1_500)
      yield* agent.account(session).pipe(Effect.ignore)
      assert.isAtMost(timesIn(calls, "Lease 3"), 1)
    }).pipe(Effect.scoped)
  )
})

describe("rule 2: an interruption by the agent is not ours", () => {
  it.live("an agent that is stopped during a run is lost", () =>
    Effect.gen(function* () {
      const pods = yield* ClusterAgents.pods
      const scope = yield* Scope.make()
      const calls: Array<string> = []
      yield* pods.start(1, { reports: ticking(50), onCall: (call) => calls.push(call) }).pipe(Scope.provide(scope))
      pods.list([1])
      const [agent] = yield* ClusterAgents.find(ClusterAgents.finding(pods.cluster, { expect: 1 }))
      assert.isDefined(agent)
      const running = yield* Effect.forkChild(Effect.exit(Stream.runDrain(agent.run(start))))
      yield* until(() => calls.includes("Run"), "the run begins")
      yield* Scope.close(scope, Exit.void)
      const exit = yield* Fiber.join(running)
      assert.isTrue(Exit.isFailure(exit) && !Exit.hasInterrupts(exit))
      assert.match(String(exit), /AgentLost/)
    }).pipe(Effect.scoped)
  )

  it.live("our own interruption reaches the agent, which ends the run", () =>
    Effect.gen(function* () {
      const { agent, calls } = yield* single({ reports: ticking(50) })
      const running = yield* Effect.forkChild(Stream.runDrain(agent.run(start)))
      yield* until(() => calls.includes("Run"), "the run begins")
      const before = yield* Clock.currentTimeMillis
      yield* Fiber.interrupt(running)
      yield* until(() => calls.includes("Run has ended"), "the agent ends the run")
      assert.isBelow((yield* Clock.currentTimeMillis) - before, 1_000)
      yield* agent.clock(null)
    }).pipe(Effect.scoped)
  )
})

describe("an agent that is gone", () => {
  it.live("is waited for once when it is asked what it knows", () =>
    Effect.gen(function* () {
      const pods = yield* ClusterAgents.pods
      const scope = yield* Scope.make()
      yield* pods.start(1).pipe(Scope.provide(scope))
      pods.list([1])
      const [agent] = yield* ClusterAgents.find(ClusterAgents.finding(pods.cluster, { expect: 1 }))
      assert.isDefined(agent)
      yield* Scope.close(scope, Exit.void)
      const timed = Effect.gen(function* () {
        const before = yield* Clock.currentTimeMillis
        const error = yield* Effect.flip(agent.account(session))
        assert.include(error.message, "nobody listens there")
        return (yield* Clock.currentTimeMillis) - before
      })
      assert.isAtLeast(yield* timed, 4_900)
      assert.isBelow(yield* timed, 4_000)
      // It has come back
      yield* pods.start(1, { account: Effect.fail(new AgentFailed({ description: "it was started anew" })) })
      assert.include((yield* Effect.flip(agent.account(session))).message, "it was started anew")
    }).pipe(Effect.scoped)
  )
})

describe("rule 3: an agent is where its runner is", () => {
  it.live("each of eight is called by its name, and answers itself", () =>
    Effect.gen(function* () {
      const pods = yield* ClusterAgents.pods
      const numbers = [1, 2, 3, 4, 5, 6, 7, 8]
      const calls = new Map<number, number>()
      yield* Effect.forEach(numbers, (number) =>
        pods.start(number, {
          onCall: (call) => {
            if (call === "Clock") calls.set(number, (calls.get(number) ?? 0) + 1)
          }
        })
      )
      pods.list(numbers.toReversed())
      const agents = yield* ClusterAgents.find(ClusterAgents.finding(pods.cluster, { expect: 8 }))
      assert.deepStrictEqual(
        agents.map(({ name, profile }) => [name, profile.pid]),
        numbers.map((number) => [pods.nameOf(number), number])
      )
      yield* Effect.forEach(agents, ({ clock }) => clock(null), { concurrency: "unbounded" })
      assert.deepStrictEqual([...calls.values()], [1, 1, 1, 1, 1, 1, 1, 1])
      assert.deepStrictEqual(pods.kubernetes.violations, [])
    }).pipe(Effect.scoped)
  )

  it.live("one that advertises another name is told of, and does not keep us waiting", () =>
    Effect.gen(function* () {
      const pods = yield* ClusterAgents.pods
      // Listens where it is looked for, and takes itself for another one
      yield* pods.start(3, {}, { from: { host: "127.0.0.1", port: pods.port } })
      pods.list([1])
      const error = yield* Effect.flip(ClusterAgents.find(ClusterAgents.finding(pods.cluster, { expect: 1 })))
      assert.include(error.message, `${pods.nameOf(1)}: it answers, but not to this name`)
      assert.include(error.message, "--advertise")
    }).pipe(Effect.scoped)
  )
})

describe("rule 4: who comes later changes nothing", () => {
  it.live("a run goes on where it is when more agents come and the list changes", () =>
    Effect.gen(function* () {
      const { agent, calls, pods } = yield* single({ reports: Stream.take(ticking(40), 40) })
      const running = yield* Effect.forkChild(Stream.runCount(agent.run(start)))
      yield* until(() => calls.includes("Run"), "the run begins")
      yield* Effect.forEach([2, 3, 4], (number) => pods.start(number))
      pods.list([2, 3, 4])
      assert.strictEqual(yield* Fiber.join(running), 40)
      assert.strictEqual(timesIn(calls, "Run"), 1)
    }).pipe(Effect.scoped)
  )
})

describe("rule 6: a run does not depend on where agents were found", () => {
  it.live("it is not asked once they are", () =>
    Effect.gen(function* () {
      const { agent, pods } = yield* single({ reports: Stream.take(ticking(100), 30) })
      const asked = pods.kubernetes.calls()
      pods.kubernetes.breakDown(500)
      assert.strictEqual(yield* Stream.runCount(agent.run(start)), 30)
      pods.kubernetes.breakDown(null)
      assert.strictEqual(pods.kubernetes.calls(), asked)
    }).pipe(Effect.scoped)
  )
})

describe("rule 7: who is listed is asked whether it is there", () => {
  it.live("one that is not is left out, or named when it is missing", () =>
    Effect.gen(function* () {
      const pods = yield* ClusterAgents.pods
      yield* pods.start(2)
      pods.list([1, 2])
      const agents = yield* ClusterAgents.find(ClusterAgents.finding(pods.cluster, { expect: 1 }))
      assert.deepStrictEqual(
        agents.map(({ name }) => name),
        [pods.nameOf(2)]
      )
      const error = yield* Effect.flip(
        ClusterAgents.find(ClusterAgents.finding(pods.cluster, { expect: 2, withinSeconds: 1 }))
      )
      assert.include(error.message, "1 of 2 agents found within 1 s")
      assert.include(error.message, `${pods.nameOf(1)}: nobody listens there`)
      assert.include(error.message, `${pods.nameOf(2)}: it answers`)
    }).pipe(Effect.scoped)
  )
})

describe("rule 8: no message waits for an acknowledgement of the network", () => {
  const comeAtOnce = Effect.fnUntraced(function* (credentials?: {
    readonly agent: Parameters<typeof Agents.credentials>[0]
    readonly coordinator: Parameters<typeof Agents.credentials>[0]
    readonly ca: string
  }) {
    const pods = yield* ClusterAgents.pods
    yield* pods.start(
      1,
      {
        reports: Stream.take(Stream.fromEffectRepeat(Effect.sync(() => Agents.report(1))).pipe(Stream.rechunk(1)), 10)
      },
      credentials === undefined ? {} : { credentials: Agents.credentials(credentials.agent, credentials.ca) }
    )
    pods.list([1])
    const [agent] = yield* ClusterAgents.find(
      ClusterAgents.finding(pods.cluster, {
        expect: 1,
        credentials: credentials === undefined ? null : Agents.credentials(credentials.coordinator, credentials.ca)
      })
    )
    assert.isDefined(agent)
    // Waiting for acknowledgements takes at least 40 ms for each of the ten reports, every time; a busy computer is not that slow every time
    for (let tries = 0; tries < 50; tries++) {
      const before = yield* Clock.currentTimeMillis
      assert.strictEqual(yield* Stream.runCount(agent.run(start)), 10)
      if ((yield* Clock.currentTimeMillis) - before < 10 * 40) return
    }
    assert.fail("each of 50 times, ten reports took as long as ten acknowledgements")
  })

  it.live("reports come as fast as they are made", () => comeAtOnce().pipe(Effect.scoped))

  it.live("with TLS too", () =>
    Effect.gen(function* () {
      const authority = Certificates.authority("fleet")
      yield* comeAtOnce({
        agent: authority.issue({ hosts: ["127.0.0.1"] }),
        coordinator: authority.issue(),
        ca: authority.cert
      })
    }).pipe(Effect.scoped)
  )
})

describe("rule 9: calls do not wait for each other, and a mistake in one is its own", () => {
  it.live("an agent answers while it runs", () =>
    Effect.gen(function* () {
      const { agent, calls } = yield* single({ reports: Stream.never })
      const running = yield* Effect.forkChild(Stream.runDrain(agent.run(start)))
      yield* until(() => calls.includes("Run"), "the run begins")
      yield* agent.clock(session)
      yield* agent.stop({ session, how: "drain", reason: null })
      assert.isTrue(calls.includes("Stop drain"))
      yield* Fiber.interrupt(running)
    }).pipe(Effect.scoped)
  )

  it.live("a defect in a call does not begin a run anew", () =>
    Effect.gen(function* () {
      const { agent, calls } = yield* single({
        reports: Stream.take(ticking(50), 30),
        account: Effect.die(new Error("a mistake of ours"))
      })
      const running = yield* Effect.forkChild(Stream.runCount(agent.run(start)))
      yield* until(() => calls.includes("Run"), "the run begins")
      const error = yield* Effect.flip(agent.account(session))
      assert.include(error.message, "a mistake of ours")
      assert.strictEqual(yield* Fiber.join(running), 30)
      assert.strictEqual(timesIn(calls, "Run"), 1)
      assert.strictEqual(timesIn(calls, "Account"), 1)
    }).pipe(Effect.scoped)
  )
})

describe("rule 12: who may call", () => {
  it.live("only who knows the token, which is told at once", () =>
    Effect.gen(function* () {
      const { calls, pods } = yield* single()
      calls.length = 0
      const error = yield* Effect.flip(
        ClusterAgents.find(
          ClusterAgents.finding(pods.cluster, { expect: 1, token: Redacted.make("another-token-of-some-length") })
        )
      )
      assert.include(error.message, `${pods.nameOf(1)}: it has another token`)
      assert.deepStrictEqual(calls, [])
    }).pipe(Effect.scoped)
  )

  it.live("what Effect Cluster says beside calls is not heard from others either", () =>
    Effect.gen(function* () {
      const { agent, calls, pods } = yield* single({ reports: ticking(50) })
      const running = yield* Effect.forkChild(Stream.runDrain(agent.run(start)))
      yield* until(() => calls.includes("Run"), "the run begins")
      const socket = yield* Connections.dial({ host: "127.0.0.1", port: pods.port, openMillis: 3_000, secure: null })
      const protocol = yield* RpcClient.makeProtocolSocket().pipe(
        Effect.provideService(Socket.Socket, socket),
        Effect.provide(Wire.layerSerialization)
      )
      const stranger = yield* Effect.provideService(RpcClient.make(Runners.Rpcs), RpcClient.Protocol, protocol)
      yield* stranger.Ping()
      const address = EntityAddress.make({
        shardId: ShardId.make(agent.name, 1),
        entityType: EntityType.make("llmperf/LoadAgent"),
        entityId: EntityId.make(agent.name)
      })
      const envelope = new Envelope.Interrupt({
        id: Snowflake.Snowflake(1n),
        address,
        requestId: Snowflake.Snowflake(2n)
      })
      const heard = (headers: { readonly [name: string]: string }) =>
        stranger
          .Envelope({ envelope, persisted: false }, { headers })
          .pipe(Effect.timeoutOption(1_000), Effect.map(Option.isSome))
      assert.isTrue(yield* heard({ authorization: `Bearer ${Redacted.value(Agents.token)}` }))
      assert.isFalse(yield* heard({}))
      assert.isFalse(yield* heard({ authorization: "Bearer another-token-of-some-length" }))
      assert.isUndefined(running.pollUnsafe())
      yield* Fiber.interrupt(running)
    }).pipe(Effect.scoped)
  )

  it.live("only who has the same version", () =>
    Effect.gen(function* () {
      const { pods } = yield* single()
      const error = yield* Effect.flip(
        ClusterAgents.find(ClusterAgents.finding(pods.cluster, { expect: 1, version: "1.2.3" }))
      )
      assert.include(error.message, "it is llmperf 9.9.9")
      assert.include(error.message, "this is 1.2.3")
    }).pipe(Effect.scoped)
  )

  it.live("with TLS only who shows a certificate of the authority, and agents show theirs", () =>
    Effect.gen(function* () {
      const authority = Certificates.authority("fleet")
      const other = Certificates.authority("other")
      const pods = yield* ClusterAgents.pods
      const calls: Array<string> = []
      const credentials = Agents.credentials(authority.issue({ hosts: ["127.0.0.1"] }), authority.cert)
      yield* pods.start(1, { onCall: (call) => calls.push(call) }, { credentials })
      pods.list([1])
      const found = (credentials: ReturnType<typeof Agents.credentials> | null) =>
        ClusterAgents.find(ClusterAgents.finding(pods.cluster, { expect: 1, credentials, withinSeconds: 1 }))
      const [agent] = yield* found(Agents.credentials(authority.issue(), authority.cert))
      yield* agent?.clock(null) ?? Effect.void
      assert.deepStrictEqual(calls, ["Hello", "Clock"])

      const strange = yield* Effect.flip(found(Agents.credentials(other.issue(), authority.cert)))
      assert.include(strange.message, "it does not accept our certificate")
      const distrusting = yield* Effect.flip(found(Agents.credentials(authority.issue(), other.cert)))
      assert.include(distrusting.message, "its certificate is not signed by the CA in --tls-ca")
      const expired = authority.issue({ from: new Date("2020-01-01T00:00:00Z"), to: new Date("2020-02-01T00:00:00Z") })
      assert.include((yield* Effect.flip(found(Agents.credentials(expired, authority.cert)))).message, "certificate")
      const plain = yield* Effect.flip(found(null))
      assert.include(plain.message, pods.nameOf(1))
      assert.deepStrictEqual(calls, ["Hello", "Clock"])
    }).pipe(Effect.scoped)
  )

  it.live("an agent that shows a certificate for another host is none of ours", () =>
    Effect.gen(function* () {
      const authority = Certificates.authority("fleet")
      const pods = yield* ClusterAgents.pods
      yield* pods.start(
        1,
        {},
        { credentials: Agents.credentials(authority.issue({ hosts: ["10.1.2.3"] }), authority.cert) }
      )
      pods.list([1])
      const error = yield* Effect.flip(
        ClusterAgents.find(
          ClusterAgents.finding(pods.cluster, {
            expect: 1,
            withinSeconds: 1,
            credentials: Agents.credentials(authority.issue(), authority.cert)
          })
        )
      )
      assert.include(error.message, "its certificate is for another host")
      const named = yield* Effect.flip(
        ClusterAgents.find(
          ClusterAgents.finding(`${pods.cluster}&tls-name=llmperf-agent`, {
            expect: 1,
            withinSeconds: 1,
            credentials: Agents.credentials(authority.issue(), authority.cert)
          })
        )
      )
      assert.include(named.message, "llmperf-agent")
    }).pipe(Effect.scoped)
  )
})

describe("rule 15: a slow reader of one call holds up no other", () => {
  it.live("an agent answers although its reports are not taken", () =>
    Effect.gen(function* () {
      const { agent, calls } = yield* single({ reports: ticking(5) })
      const stuck = yield* Deferred.make<void>()
      const running = yield* Effect.forkChild(
        Stream.runForEach(agent.run(start), () => Effect.andThen(Deferred.succeed(stuck, undefined), Effect.never))
      )
      yield* Deferred.await(stuck)
      yield* Effect.sleep(500)
      for (let asked = 0; asked < 5; asked++) yield* agent.clock(session)
      assert.strictEqual(timesIn(calls, "Clock"), 5)
      yield* Fiber.interrupt(running)
    }).pipe(Effect.scoped)
  )
})

describe("agents that are wanted", () => {
  it.live("are those that are free, and no more than are wanted", () =>
    Effect.gen(function* () {
      const pods = yield* ClusterAgents.pods
      yield* Effect.forEach([1, 2, 3, 4], (number) =>
        pods.start(number, number === 2 ? { profile: { session: "another-run" } } : {})
      )
      pods.list([1, 2, 3, 4])
      const names = (expect: number | null) =>
        Effect.map(ClusterAgents.find(ClusterAgents.finding(pods.cluster, { expect })), (agents) =>
          agents.map(({ name }) => name)
        )
      assert.deepStrictEqual(yield* names(2), [1, 3].map(pods.nameOf))
      assert.deepStrictEqual(yield* names(3), [1, 3, 4].map(pods.nameOf))
      for (const expect of [4, null]) {
        const error = yield* Effect.flip(names(expect))
        assert.instanceOf(error, AgentFailed)
        assert.include(error.message, `${pods.nameOf(2)}: it works for another run (another-run)`)
      }
    }).pipe(Effect.scoped)
  )

  it.live("can all be looked at, with what is wrong with those that cannot be used", () =>
    Effect.gen(function* () {
      const pods = yield* ClusterAgents.pods
      yield* pods.start(1)
      yield* pods.start(2, { profile: { session: "another-run", version: "1.2.3" } })
      yield* pods.start(4, { profile: { session: "another-run" } })
      pods.list([1, 2, 3, 4])
      const seen = yield* ClusterAgents.look(ClusterAgents.finding(pods.cluster))
      assert.deepStrictEqual(
        seen.map(({ agent }) =>
          Result.isSuccess(agent) ? agent.success.profile.session : agent.failure.message.split(". ")[0]
        ),
        [
          null,
          `${pods.nameOf(2)}: it is llmperf 1.2.3 (protocol 2), this is 9.9.9 (protocol 2)`,
          `${pods.nameOf(3)}: nobody listens there`,
          "another-run"
        ]
      )
      assert.deepStrictEqual(
        seen.map(({ name }) => name),
        [1, 2, 3, 4].map(pods.nameOf)
      )
      pods.list([])
      assert.deepStrictEqual(yield* ClusterAgents.look(ClusterAgents.finding(pods.cluster)), [])
      pods.kubernetes.breakDown(500)
      assert.include((yield* Effect.flip(ClusterAgents.look(ClusterAgents.finding(pods.cluster)))).message, "says 500")
    }).pipe(Effect.scoped)
  )

  it.live("an agent does not listen for all to hear without being told to, nor where nobody can call it", () =>
    Effect.gen(function* () {
      const pods = yield* ClusterAgents.pods
      const anywhere = yield* Effect.flip(pods.start(1, {}, { from: { host: "0.0.0.0", port: 0 } }))
      assert.include(anywhere.message, "--insecure-listen")
      const authority = Certificates.authority("fleet")
      const own = Agents.credentials(authority.issue(), authority.cert)
      for (const advertise of [null, { host: "0.0.0.0", port: 7_070 }, { host: "10.0.0.7", port: 0 }]) {
        const nowhere = yield* Effect.flip(ClusterAgents.everywhere(pods.cluster, own, advertise))
        assert.include(nowhere.message, "--advertise")
      }
      assert.deepStrictEqual(yield* ClusterAgents.everywhere(pods.cluster, own, { host: "agent-1", port: 7_070 }), {
        host: "agent-1",
        port: 7_070
      })
    }).pipe(Effect.scoped)
  )
})
