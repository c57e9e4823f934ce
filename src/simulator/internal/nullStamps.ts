import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { type ServerExchange } from "../../domain/CalibrationResults.ts"

const Head = Schema.fromJsonString(
  Schema.Struct({
    ids: Schema.Array(Schema.String),
    writes: Schema.Int,
    cpuSeconds: Schema.Finite,
    busyShare: Schema.Finite
  })
)

const decodeHead = Schema.decodeUnknownEffect(Head)

const columns = (ids: ReadonlyArray<string>, writes: number, bytes: ArrayBuffer, from: number) => {
  const requests = ids.length
  const arrived = new Float64Array(bytes, from, requests)
  const waited = new Float64Array(bytes, from + 8 * requests, requests)
  const atWrites = from + 16 * requests
  const before = new Float64Array(bytes, atWrites, writes)
  const after = new Float64Array(bytes, atWrites + 8 * writes, writes)
  const request = new Uint32Array(bytes, atWrites + 16 * writes, writes)
  const tokens = new Uint32Array(bytes, atWrites + 20 * writes, writes)
  return { arrived, waited, before, after, request, tokens }
}

interface Filling extends ServerExchange {
  readonly writtenAt: Array<number>
  readonly takenAt: Array<number>
}

/** Reads what `NullLog.encode` wrote: the exchanges by their ids, and the rest of the head. */
export const decode = Effect.fnUntraced(function* (bytes: ArrayBuffer) {
  const length = bytes.byteLength < 8 ? 0 : new DataView(bytes).getUint32(0, true)
  const text = new TextDecoder().decode(new Uint8Array(bytes, Math.min(8, bytes.byteLength)).subarray(0, length))
  const { ids, writes, ...load } = yield* decodeHead(text)
  const { after, arrived, before, request, tokens, waited } = columns(ids, writes, bytes, 8 + length)

  const all = ids.map((_, i): Filling => ({
    arrivedAt: arrived[i] ?? 0,
    waitedNanos: waited[i] ?? 0,
    writtenAt: [],
    takenAt: []
  }))
  for (let i = 0; i < writes; i++) {
    const exchange = all[request[i] ?? 0]
    for (let count = tokens[i] ?? 0; count > 0; count--) {
      exchange?.writtenAt.push(before[i] ?? 0)
      exchange?.takenAt.push(after[i] ?? 0)
    }
  }
  return { exchanges: new Map(all.map((exchange, i) => [ids[i] ?? "", exchange] as const)), ...load }
})
