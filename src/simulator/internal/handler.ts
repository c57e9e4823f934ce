import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { type IncomingMessage, type ServerResponse } from "node:http"
import { type Socket } from "node:net"
import * as Fault from "../Fault.ts"
import { type ModelServer } from "../ModelServer.ts"
import * as answer from "./answer.ts"
import * as exchange from "./exchange.ts"
import * as modelName from "./modelName.ts"
import * as openAi from "./openAi.ts"
import { type Answer, invalid, json, refusal } from "./refusal.ts"
import * as requestBody from "./requestBody.ts"
import * as truths from "./truth.ts"

/** Largest request body, in bytes. */
const bodyLimit = 64 * 1024 * 1024

const decodeBody = Schema.decodeUnknownResult(Schema.fromJsonString(requestBody.RequestBody))

const headerOf = (request: IncomingMessage, name: string): string => {
  const value = request.headers[name]
  return typeof value === "string" ? value : ""
}

interface Paths {
  readonly path: string
  readonly endpoint: string
  readonly redirected: boolean
}

const pathsOf = (url: string): Paths => {
  const full = url.split("?", 1)[0] ?? ""
  const redirected = full.startsWith("/redirected/")
  const path = redirected ? full.slice("/redirected".length) : full
  return { path, endpoint: path.startsWith("/v1/") ? path.slice(3) : path, redirected }
}

export interface Handler {
  /** Answers one request; ends early when the client goes away. */
  readonly answer: (request: IncomingMessage, response: ServerResponse) => Effect.Effect<void>
  readonly connected: (socket: Socket) => void
}

/** `truthLimit`: moments to keep, `undefined` for none. */
export const make = (model: ModelServer["Service"], clock: Clock.Clock, truthLimit: number | undefined): Handler => {
  const parseModelName = modelName.makeParser()
  const truth = truthLimit === undefined ? undefined : truths.make(truthLimit)
  const wallOffset = Number(clock.currentTimeNanosUnsafe() - clock.monotonicTimeNanosUnsafe()) * 1e-9
  const now = (): number => Number(clock.monotonicTimeNanosUnsafe())
  const epochSeconds = (): number => wallOffset + now() * 1e-9
  const startedSeconds = Math.floor(epochSeconds())
  const counts = { requests: 0, live: 0, peakLive: 0, bad: 0, refused: 0, connections: 0, openConnections: 0 }

  const refuse = (response: ServerResponse, refusing: Answer): Effect.Effect<void> =>
    Effect.suspend(() => {
      counts.bad += 1
      return exchange.reply(response, refusing)
    })

  const complete = Effect.fnUntraced(function* (
    request: IncomingMessage,
    response: ServerResponse,
    paths: Paths,
    arrivedNanos: number,
    entry: truths.Entry
  ): Effect.fn.Return<boolean, never, Scope.Scope> {
    const text = yield* exchange.readBody(request, bodyLimit)
    if (text === undefined) {
      yield* refuse(response, invalid(413, `The body is larger than ${bodyLimit} bytes`))
      return false
    }
    const decoded = decodeBody(text)
    if (Result.isFailure(decoded)) {
      yield* refuse(response, invalid(400, `We could not read the body of your request: ${decoded.failure.message}`))
      return false
    }
    const body = decoded.success
    const behaviour = parseModelName(body.model)
    if (typeof behaviour === "string") {
      yield* refuse(response, invalid(400, `In the model name: ${behaviour}`, null, "model"))
      return false
    }
    const key = /(\d+)$/.exec(entry.requestId)?.[1] ?? entry.id
    const faults = yield* model.faults(key, behaviour.faults)
    const slow = Fault.find(faults, "slow-headers")
    if (slow !== undefined) yield* Effect.sleep(slow.number)
    const headers: { readonly [name: string]: string } =
      entry.requestId === "" ? {} : { "x-request-id": entry.requestId }
    const asksUsage = body.stream_options !== undefined && body.stream_options !== null
    const { redirected } = paths
    const refused = refusal(faults, { model: body.model, path: paths.path, redirected, asksUsage })
    if (refused !== undefined) {
      counts.refused += 1
      yield* exchange.reply(response, { ...refused, headers: { ...headers, ...refused.headers } })
      return false
    }

    const asked = body.max_completion_tokens ?? body.max_tokens ?? undefined
    const outputTokens = behaviour.outputTokens ?? asked ?? model.options.defaultOutputTokens
    const chat = paths.endpoint === "/chat/completions"
    const asTool = chat && Fault.find(faults, "tool") !== undefined
    const promptTokens = requestBody.promptTokens(body)
    const generation = yield* Effect.result(
      model.generate({
        id: key,
        inputTokens: promptTokens,
        outputTokens,
        ttft: behaviour.ttft,
        itl: behaviour.itl,
        tokensPerChunk: behaviour.tokensPerChunk,
        arrivedNanos: slow === undefined ? arrivedNanos : undefined
      })
    )
    if (Result.isFailure(generation)) {
      yield* refuse(response, invalid(400, generation.failure.message, "context_length_exceeded"))
      return false
    }
    const accepted: answer.Accepted = {
      request,
      response,
      body,
      identity: { chat, ordinal: entry.id, model: body.model, createdSeconds: Math.floor(epochSeconds()) },
      faults,
      promptTokens,
      outputTokens,
      finishReason: asTool ? "tool_calls" : asked !== undefined && outputTokens >= asked ? "length" : "stop",
      headers,
      sent: (chunks) => {
        if (truth === undefined) return
        const at = epochSeconds()
        for (let i = 0; i < chunks; i++) entry.sent.push(at)
      }
    }
    return yield* body.stream === true
      ? answer.streamed(accepted, generation.success)
      : answer.whole(accepted, generation.success)
  })

  const completion = (request: IncomingMessage, response: ServerResponse, paths: Paths): Effect.Effect<void> =>
    Effect.suspend(() => {
      const arrivedNanos = now()
      counts.requests += 1
      counts.live += 1
      counts.peakLive = Math.max(counts.peakLive, counts.live)
      const requestId = headerOf(request, "x-request-id")
      const entry: truths.Entry = {
        id: counts.requests,
        requestId,
        received: wallOffset + arrivedNanos * 1e-9,
        sent: []
      }
      let ok = false
      return Effect.scoped(complete(request, response, paths, arrivedNanos, entry)).pipe(
        Effect.map((value) => {
          ok = value
        }),
        Effect.raceFirst(exchange.clientGone(response)),
        Effect.ensuring(
          Effect.sync(() => {
            counts.live -= 1
            truth?.add(entry, ok)
          })
        )
      )
    })

  const stats = Effect.map(model.stats, (modelStats) => {
    const all = { ...counts, truthDropped: truth?.dropped() ?? 0, model: modelStats }
    counts.peakLive = counts.live
    return json(200, `${JSON.stringify(all)}\n`)
  })

  const get = (paths: Paths): Effect.Effect<Answer> => {
    switch (paths.endpoint) {
      case "/models":
        return Effect.succeed(json(200, openAi.models(startedSeconds)))
      case "/health":
        return Effect.succeed(json(200, `{"status":"ok"}\n`))
      case "/_stats":
        return stats
      case "/_truth":
        return Effect.sync(() =>
          truth === undefined
            ? invalid(404, "The server was not started with truth on")
            : { status: 200, headers: { "content-type": "application/x-ndjson" }, body: truth.take() }
        )
      default:
        return Effect.sync(() => {
          counts.bad += 1
          return invalid(404, `Unknown address: GET ${paths.path}`)
        })
    }
  }

  const route = (request: IncomingMessage, response: ServerResponse): Effect.Effect<void> => {
    const paths = pathsOf(request.url ?? "/")
    const isCompletion = paths.endpoint === "/chat/completions" || paths.endpoint === "/completions"
    if (isCompletion && request.method === "POST") return completion(request, response, paths)
    request.resume()
    if (isCompletion) {
      return refuse(response, invalid(405, `${paths.path} takes POST, not ${request.method ?? ""}`))
    }
    if (request.method === "GET") return Effect.flatMap(get(paths), (body) => exchange.reply(response, body))
    return refuse(response, invalid(404, `Unknown address: ${request.method ?? ""} ${paths.path}`))
  }

  return {
    answer: (request, response) =>
      Effect.suspend(() => route(request, response)).pipe(
        // A bug of ours must not leave the client waiting.
        Effect.onError(() => Effect.sync(() => response.destroy()))
      ),
    connected: (socket) => {
      counts.connections += 1
      counts.openConnections += 1
      socket.once("close", () => {
        counts.openConnections -= 1
      })
    }
  }
}
