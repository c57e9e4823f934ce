import * as PgClient from "@effect/sql-pg/PgClient"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Reactivity from "effect/reactivity/Reactivity"
import type { SqlError } from "effect/sql/SqlError"
import { type AgentAddress } from "../AgentAddress.ts"
import { type Postgres } from "../ClusterAddress.ts"
import { type Directory, DirectoryError } from "./directory.ts"

/** How often an agent says that it is there, in seconds. */
const BEAT_SECONDS = 2
/** After so many seconds without a word it is not in the list any more. By the clock of the database, the only one they share. */
const STALE_SECONDS = 10
/** How long an agent that ends waits for its row to be deleted, in milliseconds. */
const GOODBYE_MILLIS = 1_000

const rowsOf = Schema.decodeUnknownEffect(Schema.Array(Schema.Struct({ host: Schema.String, port: Schema.Int })))

/** The database's own words, without ours around them. */
const wordsOf = ({ message, reason }: SqlError): string => {
  const { cause } = reason
  return cause instanceof Error && cause.message !== "" ? cause.message : message
}

const adviceFor = ({ reason }: SqlError): string => {
  switch (reason._tag) {
    case "AuthenticationError":
      return "Set the variable PGPASSWORD, and check the name of the user"
    case "AuthorizationError":
      return "Agents need a table in it: grant CREATE on its schema, or make llmperf_agents as docs/cluster.md has it"
    case "ConnectionError":
      return "Check host and port, and that the server runs"
    default:
      return "Check the address given with --cluster"
  }
}

const problemOf = (url: string) => (error: SqlError) =>
  new DirectoryError({
    problem: `the database ${url} does not help: ${wordsOf(error)}. ${adviceFor(error)}`,
    passes: error.reason._tag === "ConnectionError"
  })

/**
 * Agents of a table in which they enter themselves. The database is told who is there, and nothing else: agents take their shards
 * without asking it (see `localRunners.ts`), so that a run does not depend on it.
 */
export const make = Effect.fnUntraced(function* (
  { url }: Postgres,
  onNotice: (notice: string) => Effect.Effect<void>
): Effect.fn.Return<Directory, DirectoryError, Scope.Scope> {
  const problem = problemOf(url)
  const password = yield* Effect.mapError(
    Config.option(Config.Redacted("PGPASSWORD")),
    ({ message }) =>
      new DirectoryError({ problem: `the variable PGPASSWORD cannot be read: ${message}`, passes: false })
  )
  const sql = yield* PgClient.make({
    url: Redacted.make(url),
    password: Option.getOrUndefined(password),
    applicationName: "llmperf",
    maxConnections: 1,
    connectTimeout: "5 seconds"
  }).pipe(Effect.provide(Reactivity.layer), Effect.mapError(problem))

  // Not without looking: CREATE … IF NOT EXISTS needs the right to create even where there is nothing to do
  const isThere = Effect.map(
    sql<{ readonly found: boolean }>`SELECT to_regclass('llmperf_agents') IS NOT NULL AS found`,
    ([row]) => row?.found === true
  )
  const ensure = Effect.flatMap(isThere, (found) =>
    found
      ? Effect.void
      : Effect.asVoid(sql`CREATE TABLE IF NOT EXISTS llmperf_agents
          (host text NOT NULL, port integer NOT NULL, seen timestamptz NOT NULL, PRIMARY KEY (host, port))`)
  ).pipe(
    // Several agents may make it at once, of which Postgres lets one win and fails the others
    Effect.retry({ schedule: Schedule.spaced("100 millis"), times: 3 })
  )
  const enter = ({ host, port }: AgentAddress) =>
    sql`INSERT INTO llmperf_agents (host, port, seen) VALUES (${host}, ${port}, now())
      ON CONFLICT (host, port) DO UPDATE SET seen = EXCLUDED.seen`
  const remove = ({ host, port }: AgentAddress) =>
    sql`DELETE FROM llmperf_agents WHERE (host = ${host} AND port = ${port}) OR seen < now() - interval '1 day'`

  return {
    list: Effect.gen(function* () {
      // No agent has been here yet
      if (!(yield* isThere)) return []
      const rows = yield* sql`SELECT host, port FROM llmperf_agents
        WHERE seen > now() - make_interval(secs => ${STALE_SECONDS}) ORDER BY host, port`
      return yield* Effect.orDie(rowsOf(rows))
    }).pipe(Effect.mapError(problem)),

    announce: Effect.fnUntraced(function* (address) {
      yield* Effect.mapError(Effect.andThen(ensure, enter(address)), problem)
      yield* Effect.addFinalizer(() => Effect.ignore(Effect.timeout(remove(address), GOODBYE_MILLIS)))
      // An outage is said once, and its end
      let isOut = false
      yield* enter(address).pipe(
        Effect.matchEffect({
          onSuccess: () => {
            const wasOut = isOut
            isOut = false
            return wasOut ? onNotice(`the database ${url} is there again`) : Effect.void
          },
          onFailure: (error) => {
            const wasOut = isOut
            isOut = true
            const told = wasOut
              ? Effect.void
              : onNotice(`${problem(error).message}. Until it does, new coordinators do not find this agent`)
            return Effect.andThen(told, Effect.ignore(ensure))
          }
        }),
        Effect.delay(BEAT_SECONDS * 1_000),
        Effect.forever,
        Effect.forkScoped
      )
    })
  }
})
