/** Agents in processes of their own that enter themselves in a real PostgreSQL, and what becomes of a run when something fails. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { NodeServices } from "@effect/platform-node"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Clock from "effect/Clock"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Reactivity from "effect/reactivity/Reactivity"
import { openDirectory } from "../../src/fleet/internal/openDirectory.ts"
import { until } from "../cli/processes.ts"
import * as Postgres from "../support/postgres.ts"
import * as ClusterAgents from "./clusterAgents.ts"

const { session } = ClusterAgents.spec

let database: Postgres.Postgres
const scope = Scope.makeUnsafe()
beforeAll(async () => {
  database = await Effect.runPromise(Scope.provide(Postgres.make, scope))
}, 60_000)
afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)), 60_000)

const query = Effect.fnUntraced(
  function* (text: string) {
    const sql = yield* PgClient.make({ url: Redacted.make(database.url), password: Redacted.make(database.password) })
    return yield* sql.unsafe(text)
  },
  Effect.provide(Reactivity.layer),
  Effect.scoped
)

/** Every test begins with nobody listed. */
const empty = query("DROP TABLE IF EXISTS llmperf_agents")

const starting = Effect.fnUntraced(function* (
  count: number,
  settings: Parameters<typeof ClusterAgents.start>[0]["settings"] = {}
) {
  yield* empty
  const folder = yield* ClusterAgents.folder
  const start = (more: typeof settings = {}) =>
    ClusterAgents.start({
      cluster: database.url,
      folder,
      // HOST and PORT are what Effect Cluster reads when it is not told where a runner is
      env: { PGPASSWORD: database.password, HOST: "10.255.255.1", PORT: "1" },
      settings: { ...settings, ...more }
    })
  const agents = yield* Effect.forEach(Array.from({ length: count }), () => start(), { concurrency: "unbounded" })
  return { agents, folder, start }
})

const find = (expect: number, withinSeconds = 30) =>
  ClusterAgents.find(ClusterAgents.finding(database.url, { expect, withinSeconds }), database.password)

/** Those that a coordinator would be told of. */
const listing = Effect.suspend(() =>
  Effect.flatMap(openDirectory(ClusterAgents.addressOf(database.url)), ({ list }) => list).pipe(
    Effect.map((found) => found.map(({ host, port }) => `${host}:${port}`)),
    Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown({ PGPASSWORD: database.password })),
    Effect.provide(NodeServices.layer),
    Effect.scoped
  )
)

describe("agents that enter themselves in a database", () => {
  it.live(
    "are found by their names (rule 11: not by those of the environment), take no locks (rule 5), and send their shares",
    () =>
      Effect.gen(function* () {
        const { agents: processes, folder } = yield* starting(3)
        const agents = yield* find(3)
        assert.deepStrictEqual(agents.map(({ name }) => name).toSorted(), processes.map(({ name }) => name).toSorted())
        assert.deepStrictEqual(
          agents.map(({ profile }) => profile.pid).toSorted(),
          processes.map(({ pid }) => pid).toSorted()
        )
        const tables = yield* query("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        assert.deepStrictEqual(tables, [{ tablename: "llmperf_agents" }])
        assert.deepStrictEqual(yield* query("SELECT * FROM pg_locks WHERE locktype = 'advisory'"), [])
        // One connection for each agent, and none of ours is left
        const connections = yield* query(
          "SELECT count(*)::int AS n FROM pg_stat_activity WHERE application_name = 'llmperf'"
        )
        assert.deepStrictEqual(connections, [{ n: 3 }])

        yield* Effect.forEach(
          agents,
          (agent, index) => ClusterAgents.run(agent, ClusterAgents.plans(index * 20 + 1, index * 20 + 20)),
          {
            concurrency: "unbounded"
          }
        )
        const sent = ClusterAgents.sentIn(folder)
        assert.deepStrictEqual(
          sent.map(({ id }) => id).toSorted((a, b) => a - b),
          ClusterAgents.plans(1, 60).map(({ id }) => id)
        )
        for (const { id, pid } of sent) assert.strictEqual(pid, agents[Math.ceil(id / 20) - 1]?.profile.pid)
        for (const agent of agents) {
          const account = yield* agent.account(session)
          assert.strictEqual(account.ids.length, 20)
          const pieces = yield* Stream.runCollect(agent.collect({ session, log: "records", from: 0 }))
          assert.strictEqual(
            pieces.reduce((sum, { count }) => sum + count, 0),
            20
          )
          yield* agent.release(session)
        }
      }).pipe(Effect.scoped),
    60_000
  )

  it.live(
    "are not listed any more once they have ended",
    () =>
      Effect.gen(function* () {
        const { agents } = yield* starting(2)
        const [first, second] = agents
        assert.isDefined(first)
        assert.isDefined(second)
        assert.strictEqual((yield* listing).length, 2)
        first.signal("SIGTERM")
        yield* first.ended
        assert.deepStrictEqual(yield* listing, [second.name])
      }).pipe(Effect.scoped),
    60_000
  )
})

describe("the table of agents", () => {
  const addresses = Array.from({ length: 8 }, (_, index) => ({ host: `10.0.0.${index + 1}`, port: 7_070 }))
  const names = addresses.map(({ host, port }) => `${host}:${port}`)
  const announce = (url: string, password: string) =>
    Effect.forEach(
      addresses,
      (address) => Effect.flatMap(openDirectory(ClusterAgents.addressOf(url)), (own) => own.announce(address)),
      { concurrency: "unbounded" }
    ).pipe(
      Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown({ PGPASSWORD: password })),
      Effect.provide(NodeServices.layer)
    )

  it.live("is made by whoever comes first, also when all come at once", () =>
    Effect.gen(function* () {
      yield* empty
      assert.deepStrictEqual(yield* listing, [])
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* announce(database.url, database.password)
          assert.deepStrictEqual(yield* listing, names)
          // An agent that has not said so for 10 s is not there
          yield* query("UPDATE llmperf_agents SET seen = now() - interval '11 seconds' WHERE host < '10.0.0.5'")
          assert.deepStrictEqual(yield* listing, names.slice(4))
          // It says so every 2 s
          yield* Effect.sleep(3_000)
          assert.deepStrictEqual(yield* listing, names)
        })
      )
      assert.deepStrictEqual(yield* listing, [])
    })
  )

  it.live("can be made by somebody else, for agents that may make none", () =>
    Effect.gen(function* () {
      yield* empty
      yield* query("DROP ROLE IF EXISTS guest")
      yield* query("CREATE ROLE guest LOGIN PASSWORD 'guest'")
      const url = database.url.replace(`${database.user}@`, "guest@")
      const refused = yield* Effect.flip(Effect.scoped(announce(url, "guest")))
      assert.include(refused.message, "permission denied")
      assert.include(refused.message, "docs/cluster.md")
      yield* query(
        "CREATE TABLE llmperf_agents (host text NOT NULL, port integer NOT NULL, seen timestamptz NOT NULL, PRIMARY KEY (host, port))"
      )
      yield* query("GRANT SELECT, INSERT, UPDATE, DELETE ON llmperf_agents TO guest")
      yield* Effect.scoped(
        Effect.andThen(
          announce(url, "guest"),
          Effect.map(listing, (found) => assert.deepStrictEqual(found, names))
        )
      )
    })
  )
})

describe("a run, when", () => {
  it.live(
    "an agent is killed and started anew at its address: it is lost, and nothing is sent twice (rule 1, rule 7)",
    () =>
      Effect.gen(function* () {
        const { agents: processes, folder, start } = yield* starting(2)
        const agents = yield* find(2)
        const [lost, other] = agents
        const victim = processes.find(({ name }) => name === lost?.name)
        assert.isDefined(lost)
        assert.isDefined(other)
        assert.isDefined(victim)
        const running = yield* Effect.forkChild(Effect.exit(ClusterAgents.run(lost, ClusterAgents.plans(1, 2_000))))
        const finishing = yield* Effect.forkChild(ClusterAgents.run(other, ClusterAgents.plans(3_001, 3_100)))
        yield* until(() => ClusterAgents.sentIn(folder).some(({ id }) => id < 3_000), "it sends")
        victim.signal("SIGKILL")
        const before = yield* Clock.currentTimeMillis
        const exit = yield* Fiber.join(running)
        assert.isBelow((yield* Clock.currentTimeMillis) - before, 6_000)
        assert.match(String(exit), /AgentLost/)
        assert.include(String(exit), lost.name)
        // It is still listed. Who wants two now is told which one is not there
        const missing = yield* Effect.flip(find(2, 1))
        assert.include(missing.message, `${victim.name}: nobody listens there`)

        const anew = yield* start({ listen: victim.name })
        assert.strictEqual(anew.name, victim.name)
        assert.notStrictEqual(anew.pid, victim.pid)
        // All that could come once more has time to
        yield* Effect.sleep(2_000)
        const lease = {
          session,
          number: 2,
          plans: ClusterAgents.plans(2_001, 2_010),
          last: true,
          places: null,
          reportAt: 0
        }
        yield* Effect.flip(lost.lease(lease))
        const unknown = yield* Effect.flip(lost.account(session))
        assert.include(unknown.message, "it knows nothing of this run")
        yield* Fiber.join(finishing)

        const sent = ClusterAgents.sentIn(folder)
        assert.deepStrictEqual(
          sent.filter(({ pid }) => pid === anew.pid),
          []
        )
        assert.strictEqual(new Set(sent.map(({ id }) => id)).size, sent.length)
        assert.strictEqual(sent.filter(({ id }) => id > 3_000).length, 100)
        // The next run may have it
        assert.strictEqual((yield* find(2)).length, 2)
      }).pipe(Effect.scoped),
    60_000
  )

  it.live(
    "an agent is told to end: it is lost, ends at once, and is not listed any more (rule 2, rule 10)",
    () =>
      Effect.gen(function* () {
        const { agents: processes, folder } = yield* starting(1)
        const [agent] = yield* find(1)
        const [process] = processes
        assert.isDefined(agent)
        assert.isDefined(process)
        const running = yield* Effect.forkChild(Effect.exit(ClusterAgents.run(agent, ClusterAgents.plans(1, 2_000))))
        yield* until(() => ClusterAgents.sentIn(folder).length > 0, "it sends")
        const before = yield* Clock.currentTimeMillis
        process.signal("SIGTERM")
        const exit = yield* Fiber.join(running)
        assert.match(String(exit), /AgentLost/)
        assert.isBelow((yield* Clock.currentTimeMillis) - before, 3_000)
        yield* process.ended
        assert.isBelow((yield* Clock.currentTimeMillis) - before, 3_000)
        assert.deepStrictEqual(yield* listing, [])
      }).pipe(Effect.scoped),
    60_000
  )

  it.live(
    "an agent freezes: it is lost within 6 s, also while it gets ready",
    () =>
      Effect.gen(function* () {
        const { agents: processes, folder } = yield* starting(2)
        const agents = yield* find(2)
        const [first, second] = agents
        assert.isDefined(first)
        assert.isDefined(second)
        const running = yield* Effect.forkChild(Effect.exit(ClusterAgents.run(first, ClusterAgents.plans(1, 2_000))))
        yield* until(() => ClusterAgents.sentIn(folder).length > 0, "it sends")
        yield* second.clock(null)
        for (const { signal } of processes) signal("SIGSTOP")
        const before = yield* Clock.currentTimeMillis
        const preparing = yield* Effect.forkChild(Effect.exit(second.prepare(ClusterAgents.spec)))
        assert.match(String(yield* Fiber.join(running)), /AgentLost/)
        assert.isBelow((yield* Clock.currentTimeMillis) - before, 6_500)
        assert.match(String(yield* Fiber.join(preparing)), /AgentFailed/)
        assert.isBelow((yield* Clock.currentTimeMillis) - before, 6_500)
        for (const { signal } of processes) signal("SIGCONT")
      }).pipe(Effect.scoped),
    60_000
  )

  it.live(
    "the database is away for some seconds: nothing happens to it, and agents enter themselves again (rule 6)",
    () =>
      Effect.gen(function* () {
        const { agents: processes, folder } = yield* starting(2, { answerMillis: 100 })
        const agents = yield* find(2)
        const running = yield* Effect.forkChild(
          Effect.forEach(
            agents,
            (agent, index) => ClusterAgents.run(agent, ClusterAgents.plans(index * 1_000 + 1, index * 1_000 + 120)),
            {
              concurrency: "unbounded"
            }
          )
        )
        yield* until(() => ClusterAgents.sentIn(folder).length > 0, "they send")
        yield* database.stop
        yield* Effect.sleep(4_000)
        assert.isUndefined(running.pollUnsafe())
        // Who looks for agents meanwhile waits
        const waiting = yield* Effect.forkChild(Effect.flip(find(3, 8)))
        yield* Effect.sleep(1_000)
        yield* database.start
        yield* Fiber.join(running)
        assert.strictEqual(ClusterAgents.sentIn(folder).length, 240)
        assert.include((yield* Fiber.join(waiting)).message, "2 of 3 agents found within 8 s")
        assert.strictEqual((yield* find(2)).length, 2)
        for (const { stderr } of processes) assert.include(stderr(), "new coordinators do not find this agent")
        yield* until(() => processes.every(({ stderr }) => stderr().includes("is there again")), "they say so")
      }).pipe(Effect.scoped),
    60_000
  )
})

describe("a database that does not help", () => {
  it.live(
    "is told of with what to do, and without the password",
    () =>
      Effect.gen(function* () {
        const none = yield* Effect.flip(ClusterAgents.find(ClusterAgents.finding(database.url)))
        assert.include(none.message, "PGPASSWORD")
        const wrong = yield* Effect.flip(ClusterAgents.find(ClusterAgents.finding(database.url), "wrong-password"))
        assert.include(wrong.message, "PGPASSWORD")
        assert.notInclude(wrong.message, "wrong-password")
        const missing = yield* Effect.flip(
          ClusterAgents.find(
            ClusterAgents.finding(
              database.url.replace("/postgres", "/nowhere").replace("postgres:/nowhere", "postgres:/")
            ),
            database.password
          )
        )
        assert.include(missing.message, "nowhere")
        const away = yield* Effect.flip(
          ClusterAgents.find(ClusterAgents.finding("postgres://me@127.0.0.1:1/x", { withinSeconds: 1 }), "x")
        )
        assert.include(away.message, "ECONNREFUSED")
      }),
    60_000
  )

  it.live(
    "is told of by an agent that cannot enter itself",
    () =>
      Effect.gen(function* () {
        const folder = yield* ClusterAgents.folder
        const died = yield* Effect.exit(
          ClusterAgents.start({ cluster: database.url, folder, env: { PGPASSWORD: "wrong" } })
        )
        assert.include(String(died), "PGPASSWORD")
      }).pipe(Effect.scoped),
    60_000
  )
})
