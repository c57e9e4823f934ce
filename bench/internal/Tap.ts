/** Ways to agents that count what passes, message by message. */
import * as Net from "node:net"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as Schema from "effect/Schema"
import * as Wire from "../../src/fleet/internal/wire.ts"
import { type Agent } from "./Agents.ts"
import { type BenchError, during } from "./BenchError.ts"

/** A message that passed: when (epoch seconds), which way, the call that it belongs to (`""` for none), what it is, and its bytes. */
export interface Message {
  readonly at: number
  readonly to: "agent" | "coordinator"
  readonly call: string
  readonly kind: string
  readonly bytes: number
}

const Id = Schema.Union([Schema.String, Schema.Finite])
const Asked = Schema.TaggedStruct("Request", { id: Id, tag: Schema.String })
const OfCall = Schema.Struct({ _tag: Schema.String, requestId: Id })
const Other = Schema.Struct({ _tag: Schema.String })
const isAsked = Schema.is(Asked)
const isOfCall = Schema.is(OfCall)
const isOther = Schema.is(Other)

/** Cuts a flow of bytes into messages, each with its length before it (seven bits in a byte, the lowest first). */
const splitter = () => {
  let rest: Buffer = Buffer.alloc(0)
  return (chunk: Buffer): ReadonlyArray<Buffer> => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    const messages: Array<Buffer> = []
    while (true) {
      let length = 0
      let at = 0
      let scale = 1
      let isWhole = false
      while (at < rest.length && !isWhole) {
        const byte = rest[at] ?? 0
        length += (byte & 0x7f) * scale
        scale *= 128
        isWhole = byte < 0x80
        at++
      }
      if (!isWhole || rest.length < at + length) return messages
      messages.push(rest.subarray(0, at + length))
      rest = rest.subarray(at + length)
    }
  }
}

const way = Effect.fnUntraced(function* (
  agent: Agent,
  serialization: RpcSerialization.RpcSerialization["Service"],
  messages: Array<Message>
) {
  const clock = yield* Clock.Clock
  const sockets = new Set<Net.Socket>()
  const [host = "", port = ""] = agent.address.split(":")

  /** Both directions of a connection have a parser each, which must see all that went before. */
  const counter = (calls: Map<string | number, string>, to: Message["to"]) => {
    const split = splitter()
    const parser = serialization.makeUnsafe()
    return (chunk: Buffer): void => {
      const at = clock.currentTimeMillisUnsafe() / 1e3
      for (const bytes of split(chunk)) {
        for (const message of parser.decode(bytes)) {
          if (isAsked(message)) calls.set(message.id, message.tag)
          const call = isAsked(message) ? message.tag : isOfCall(message) ? (calls.get(message.requestId) ?? "") : ""
          messages.push({ at, to, call, kind: isOther(message) ? message._tag : "", bytes: bytes.length })
        }
      }
    }
  }

  const server = Net.createServer((near) => {
    const far = Net.connect(Number(port), host)
    const calls = new Map<string | number, string>()
    for (const [from, into, count] of [
      [near, far, counter(calls, "agent")],
      [far, near, counter(calls, "coordinator")]
    ] as const) {
      sockets.add(from)
      from.setNoDelay(true)
      from.on("data", (data: Buffer) => {
        into.write(data)
        count(data)
      })
      from.on("error", () => {})
      from.on("end", () => into.end())
      from.on("close", () => into.destroy())
    }
  })
  const listening = yield* Effect.acquireRelease(
    Effect.callback<number, BenchError>((resume) => {
      server.once("error", (error) => resume(Effect.fail(during("Listening")(error))))
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0))
      })
    }),
    () =>
      Effect.sync(() => {
        for (const socket of sockets) socket.destroy()
        server.close()
      })
  )
  const tapped: Agent = { ...agent, address: `127.0.0.1:${listening}` }
  return tapped
})

/** Ways to agents without TLS, until the scope closes; what passes is added to `messages`. */
export const make = Effect.fn("Tap.make")(function* (agents: ReadonlyArray<Agent>) {
  const messages: Array<Message> = []
  const context = yield* Layer.build(Wire.layerSerialization)
  const serialization = yield* Effect.provideContext(RpcSerialization.RpcSerialization, context)
  const ways = yield* Effect.forEach(agents, (agent) => way(agent, serialization, messages))
  return { agents: ways, messages }
})

/** What a choice of messages comes to; `seconds` from the first to the last. */
export const sum = (messages: ReadonlyArray<Message>) => ({
  count: messages.length,
  bytes: messages.reduce((sum, { bytes }) => sum + bytes, 0),
  seconds: Math.max(0, (messages.at(-1)?.at ?? 0) - (messages[0]?.at ?? 0))
})
