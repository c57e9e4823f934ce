/** Agents that do not keep to the protocol: what they report, and what they hand over, is forged on the way. */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { gunzipSync, gzipSync } from "node:zlib"
import { type RequestRecord } from "../../src/domain/RequestRecord.ts"
import type * as Fleet from "../../src/engine/Fleet.ts"
import type { Ended, Piece, Report } from "../../src/engine/LoadAgent.ts"
import * as SummarySink from "../../src/metrics/SummarySink.ts"

export type Forge = (agent: Fleet.Agent) => Fleet.Agent

export const owned = (bytes: Uint8Array): Uint8Array<ArrayBuffer> => new Uint8Array(bytes)

/** Each report is another one. */
export const reports =
  (forge: (report: Report, number: number) => Report): Forge =>
  (agent) => ({
    ...agent,
    run: (start) => {
      let number = 0
      return Stream.map(agent.run(start), (report) => forge(report, number++))
    }
  })

/** What has ended is reported in another way. */
export const ended = (forge: (ended: Ended, report: Report) => Ended): Forge =>
  reports((report) => (report.ended === null ? report : { ...report, ended: forge(report.ended, report) }))

/** What the summary holds is changed. */
export const summary = (change: (sink: SummarySink.SummarySink) => void): Forge =>
  ended((one) => {
    const sink = Result.getOrThrow(SummarySink.unpack(one.summary))
    change(sink)
    return { ...one, summary: SummarySink.pack(sink) }
  })

export const pieceOf = (text: string | Uint8Array): Piece => {
  const bytes = Buffer.from(text)
  return {
    bytes: owned(gzipSync(bytes)),
    size: bytes.length,
    count: bytes.toString().split("\n").length - 1
  }
}

export const textOf = (piece: Piece): string => gunzipSync(piece.bytes).toString()

/** The pieces of a file are others; `log` is the one that is wanted. */
export const pieces =
  (forge: (pieces: ReturnType<Fleet.Agent["collect"]>, log: string) => ReturnType<Fleet.Agent["collect"]>): Forge =>
  (agent) => ({ ...agent, collect: (wanted) => forge(agent.collect(wanted), wanted.log) })

/** The lines of a file are others. */
export const lines = (log: string, forge: (lines: ReadonlyArray<string>) => ReadonlyArray<string>): Forge =>
  pieces((all, name) =>
    name === log
      ? Stream.map(all, (piece) =>
          pieceOf(
            forge(textOf(piece).split("\n").slice(0, -1))
              .map((line) => `${line}\n`)
              .join("")
          )
        )
      : all
  )

/** The first row is another one. */
export const firstRow = (change: (row: RequestRecord) => object): Forge =>
  lines("records", ([first = "", ...others]) => [JSON.stringify(change(JSON.parse(first))), ...others])

/** So many reports, of which the last says that all is done. */
export const endsAfter =
  (count: number): Forge =>
  (agent) => ({
    ...agent,
    run: (start) => {
      let requests = 0
      let number = 0
      return Stream.take(
        Stream.map(agent.run(start), (report): Report => {
          requests += report.ended?.ids.length ?? 0
          return ++number === count ? { ...report, dispatch: dispatchOf(requests) } : report
        }),
        count
      )
    }
  })

export const dispatchOf = (requests: number): NonNullable<Report["dispatch"]> => ({
  slice_s: 1,
  slices: [
    {
      from_s: 0,
      to_s: 1,
      requests,
      succeeded: requests,
      sent: requests,
      late: 0,
      very_late: 0,
      lag_total_s: 0,
      lag_max_s: 0,
      in_flight_s: 0,
      own_errors: 0,
      added_ttft: [],
      added_gap: []
    }
  ],
  lag: Uint8Array.of(1),
  first_token_delay: Uint8Array.of(1),
  chunk_delay: Uint8Array.of(1),
  added_ttft: Uint8Array.of(1),
  added_gap: Uint8Array.of(1),
  first_due_s: 0,
  last_due_s: 1,
  first_sent_s: 0,
  last_sent_s: 1,
  opened_connections: 0,
  connection_wait_total_s: 0,
  connection_wait_max_s: 0,
  own_errors: {}
})

/** The last report comes again and again. */
export const repeats =
  (every: number): Forge =>
  (agent) => ({
    ...agent,
    run: (start) => {
      let last: Report | null = null
      const again = Stream.fromEffectRepeat(
        Effect.delay(
          Effect.suspend(() =>
            last === null ? Effect.never : Effect.succeed({ ...last, ended: null, dispatch: null })
          ),
          every
        )
      )
      return Stream.concat(
        Stream.map(agent.run(start), (report) => {
          last = report
          return { ...report, dispatch: null }
        }),
        again
      )
    }
  })
