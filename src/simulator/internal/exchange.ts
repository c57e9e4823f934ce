import * as Effect from "effect/Effect"
import { type IncomingMessage, type ServerResponse } from "node:http"
import { type Answer } from "./refusal.ts"

/** Reads a body of up to `limit` bytes; `undefined` when it is larger. Never returns when the client goes away first. */
export const readBody = (request: IncomingMessage, limit: number): Effect.Effect<Buffer | undefined> =>
  Effect.callback((resume) => {
    const parts: Array<Buffer> = []
    let size = 0
    const onData = (part: Buffer): void => {
      size += part.length
      if (size <= limit) parts.push(part)
      else parts.length = 0
    }
    const onEnd = (): void => resume(Effect.succeed(size > limit ? undefined : Buffer.concat(parts)))
    request.on("data", onData)
    request.once("end", onEnd)
    return Effect.sync(() => {
      request.off("data", onData)
      request.off("end", onEnd)
    })
  })

/** Sends an answer whole. */
export const reply = (response: ServerResponse, answer: Answer): Effect.Effect<void> =>
  Effect.sync(() => {
    response.writeHead(answer.status, { ...answer.headers, "content-length": Buffer.byteLength(answer.body) })
    response.end(answer.body)
  })

/** Returns when the connection of an unfinished answer is gone. */
export const clientGone = (response: ServerResponse): Effect.Effect<void> =>
  Effect.callback((resume) => {
    if (response.destroyed || response.closed) return resume(Effect.void)
    const onClose = (): void => resume(Effect.void)
    response.once("close", onClose)
    return Effect.sync(() => response.off("close", onClose))
  })

/** How long to wait so that what was sent before is read before the connection is torn down. */
const lingerMillis = 20

/** Tears the connection down with RST. */
export const reset = (request: IncomingMessage): Effect.Effect<void> =>
  Effect.andThen(
    Effect.sleep(lingerMillis),
    Effect.sync(() => request.socket.resetAndDestroy())
  )

/** Closes the connection (FIN) when what was written has left. */
export const close = (request: IncomingMessage): Effect.Effect<void> => Effect.sync(() => request.socket.destroySoon())
