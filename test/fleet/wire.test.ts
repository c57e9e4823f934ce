import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Rpc from "effect/rpc/Rpc"
import type * as RpcMessage from "effect/rpc/RpcMessage"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as Schema from "effect/Schema"
import { SecuredRpcs } from "../../src/fleet/AgentToken.ts"
import * as Wire from "../../src/fleet/internal/wire.ts"

type Message = Schema.Codec<unknown, unknown>

/** What goes over of a call, in both directions. */
const messages = [...SecuredRpcs.requests.values()].flatMap((rpc) => {
  const { error, value } = Rpc.exitSchema(rpc)
  const ends: Message = Schema.Exit(value, error, Schema.Never)
  const asked: Message = rpc.payloadSchema
  const plain = [
    { name: `${rpc._tag}, what is asked`, schema: asked },
    { name: `${rpc._tag}, how it ends`, schema: ends }
  ]
  if (rpc._tag !== "Run" && rpc._tag !== "Collect") return plain
  const streamed: Message = Schema.NonEmptyArray(rpc.successSchema.success)
  return [...plain, { name: `${rpc._tag}, what is streamed`, schema: streamed }]
})

/** Bytes in pieces, as a network may deliver them and as Node.js hands them over. */
const inPieces = (bytes: Uint8Array, size: number): ReadonlyArray<Buffer> =>
  Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
    Buffer.from(bytes.subarray(index * size, (index + 1) * size))
  )

/** Halves of surrogate pairs are no text that UTF-8 can carry; servers are not sent such either. */
const isText = (value: unknown): boolean => !/\\ud[89a-f][0-9a-f]{2}/i.test(JSON.stringify(value))

describe("what is said between agents and coordinators", () => {
  it.effect.each(messages)("is the same when it has gone over a socket: $name", ({ schema }) =>
    Effect.gen(function* () {
      const serialization = yield* RpcSerialization.RpcSerialization
      const codec = serialization.codecFor(schema)
      const encode = Schema.encodeUnknownEffect(codec)
      const decode = Schema.decodeUnknownEffect(codec)
      const sender = serialization.makeUnsafe()
      const receiver = serialization.makeUnsafe()
      const values = yield* Arbitrary.sampleEffect(Arbitrary.filter(Arbitrary.schema(schema), isText), {
        count: 60,
        seed: 8,
        maxDiscards: 20_000
      })
      const carried: Array<unknown> = []
      for (const [index, value] of values.entries()) {
        const message: RpcMessage.FromClientEncoded = {
          _tag: "Request",
          id: index,
          tag: "any",
          payload: yield* encode(value),
          headers: [["authorization", "Bearer x"]]
        }
        const bytes = sender.encode(message)
        assert.instanceOf(bytes, Uint8Array)
        for (const piece of inPieces(bytes, 1 + (index % 7) * 400)) {
          for (const received of receiver.decode(piece)) {
            assert.deepInclude(received, { _tag: "Request", tag: "any", headers: [["authorization", "Bearer x"]] })
            carried.push(yield* decode(Reflect.get(Object(received), "payload")))
          }
        }
      }
      // Only now: what was received first must not have been written over by what came later
      assert.strictEqual(carried.length, values.length)
      for (const [index, value] of values.entries()) assert.deepStrictEqual(carried[index], value)
    }).pipe(Effect.provide(Wire.layerSerialization))
  )
})
