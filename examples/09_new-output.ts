/**
 * @title A new output
 *
 * Puts a row for every request into a SQLite database while the run goes on, and says in the summary how many there are.
 * `examples/10_run-new-output.ts` runs it.
 */
import { Effect, Sink } from "effect"
import { DatabaseSync } from "node:sqlite"
import type { Ended } from "../src/metrics/Ended.ts"
import * as Ndjson from "../src/output/Ndjson.ts"
import type { Output } from "../src/output/Output.ts"
import { OutputError } from "../src/output/OutputError.ts"

/** Opened when the run is prepared; closed when it is over, also when it is interrupted. */
export const sqlite = (path: string): Output => {
  const failed = (error: unknown) =>
    new OutputError({ path, problem: String(error), advice: "Name another file for the database." })
  const attempt = <A>(use: () => A) => Effect.try({ try: use, catch: failed })

  return {
    name: "sqlite",
    open: ({ runId }) =>
      Effect.gen(function* () {
        const database = yield* Effect.acquireRelease(
          attempt(() => new DatabaseSync(path)),
          (database) => Effect.sync(() => database.close())
        )
        yield* attempt(() => database.exec("CREATE TABLE IF NOT EXISTS requests (run TEXT, id INTEGER, ttft_s REAL)"))
        const insert = yield* attempt(() => database.prepare("INSERT INTO requests VALUES (?, ?, ?)"))
        let rows = 0

        const add = (ended: Ended) =>
          Effect.flatMap(Effect.mapError(Ndjson.records(ended), failed), (records) =>
            attempt(() => {
              for (const { request_id, ttft_s } of records) insert.run(runId, request_id, ttft_s)
              rows += records.length
            })
          )
        return {
          sink: Sink.forEach(add),
          files: [path],
          fields: () => Effect.succeed({ sqlite_rows: rows })
        }
      })
  }
}
