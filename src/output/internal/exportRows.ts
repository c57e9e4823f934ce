import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { type Cell, cellOf, type Column, columnsOf, jsonOf } from "./exportColumns.ts"
import type { Fields } from "../../domain/Fields.ts"

export type Row = ReadonlyArray<Cell>

export interface Table<E, R> {
  readonly isEmpty: boolean
  readonly columns: ReadonlyArray<Column>
  readonly rows: Stream.Stream<Row, E, R>
}

/**
 * The records as rows of a table, whose columns follow from the first record; for that, the stream is begun twice. `fail` is
 * told of a record (from 1) that does not fit into the columns.
 */
export const tableOf = <E, R, Failure>(
  records: Stream.Stream<Fields, E, R>,
  fail: (record: number, problem: string) => Failure
): Effect.Effect<Table<E | Failure, R>, E, R> =>
  Effect.map(Stream.runHead(records), (first) => {
    const columns = columnsOf(Option.getOrElse(first, () => ({})))
    const names = new Set(columns.map(({ name }) => name))
    const rows = Stream.suspend(() => {
      let number = 0
      return Stream.mapArrayEffect(records, (chunk) =>
        Effect.suspend(() => {
          const made: [Row, ...Array<Row>] = [[]]
          for (const [index, record] of chunk.entries()) {
            number++
            const row: Array<Cell> = []
            for (const { kind, name } of columns) {
              const value = cellOf(kind, record[name])
              if (value === undefined) {
                return Effect.fail(fail(number, `its ${name} is ${jsonOf(record[name]) ?? "nested too deep"}`))
              }
              row.push(value)
            }
            for (const name in record) {
              if (!names.has(name)) return Effect.fail(fail(number, `the first one has no ${name}`))
            }
            made[index] = row
          }
          return Effect.succeed(made)
        })
      )
    })
    return { isEmpty: Option.isNone(first), columns, rows }
  })
