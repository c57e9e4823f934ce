import * as fc from "fast-check"
import * as RequestSink from "../../src/metrics/RequestSink.ts"
import type { RequestTimes } from "../../src/output/ChunkTimes.ts"

/** A run that began some weeks after the machine did. */
export const start: RequestSink.RunStart = { monotonicNanos: 2_345_678_901_234_567, epochSeconds: 1_764_000_000 }

const plan = {
  dueSeconds: null,
  sampled: true,
  prompt: "Hello",
  inputTokens: 2,
  targetInputTokens: 2,
  outputTokens: 10
}

/** A request that was sent, and its chunks, so many nanoseconds after the start of the run. */
export const measured = (
  id: number,
  sentNanos: number | null,
  chunkNanos: ReadonlyArray<number>
): RequestSink.Measurement => {
  const at = (nanos: number): number => start.monotonicNanos + nanos
  return {
    ...RequestSink.makeMeasurement({ ...plan, id }, at(sentNanos ?? 0)),
    sent: sentNanos === null ? null : { _tag: "Sent", at: at(sentNanos), connection: null },
    chunkAt: chunkNanos.map(at)
  }
}

export const timesOf = ({ chunkAt, plan: { id }, sent }: RequestSink.Measurement): RequestTimes => ({
  requestId: id,
  sentNanos: sent === null ? null : sent.at - start.monotonicNanos,
  chunkNanos: Float64Array.from(chunkAt, (at) => at - start.monotonicNanos)
})

/** From chunks that came with one read to some that came an hour later. */
const gap = fc.oneof(
  fc.constant(0),
  fc.integer({ min: 1, max: 50_000_000 }),
  fc.integer({ min: 2 ** 32 - 2, max: 2 ** 32 + 2 }),
  fc.integer({ min: 0, max: 3_600_000_000_000 })
)

/** Requests of all kinds: never sent, without an answer, with one of any length. */
export const requests = fc
  .array(fc.tuple(fc.option(gap), fc.array(gap, { maxLength: 30 })), { maxLength: 40 })
  .map((all) =>
    all.map(([sent, gaps], index) => {
      let at = sent ?? 0
      const chunks = sent === null ? [] : gaps.map((each) => (at += each))
      return measured(1_000_003 * index + 1, sent, chunks)
    })
  )

/** An answer of some hundred tokens at 20 ms, as a server under load sends it. */
export const answer = (id: number, chunks: number): RequestSink.Measurement => {
  let seed = id
  const random = (): number => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647
  for (let round = 0; round < 3; round++) random()
  const normal = (): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
  const sent = Math.round(random() * 60e9)
  let at = sent + Math.round(1e8 + 2e7 * random())
  return measured(
    id,
    sent,
    Array.from({ length: chunks }, (_, index) =>
      index === 0 ? at : (at += Math.max(0, Math.round(2e7 + 1e6 * normal())))
    )
  )
}
