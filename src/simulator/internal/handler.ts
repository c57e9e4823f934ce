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
import * as content from "./content.ts"
import * as credentials from "./credentials.ts"
import { type Dialect, type Incoming, isAnswer } from "./dialect.ts"
import * as dialectAnswer from "./dialectAnswer.ts"
import * as dialects from "./dialects.ts"
import * as exchange from "./exchange.ts"
import * as modelName from "./modelName.ts"
import * as openAi from "./openAi.ts"
import { type Answer, incorrectKey, invalid, json, refusal, refusalOf } from "./refusal.ts"
import * as requestBody from "./requestBody.ts"
import * as truths from "./truth.ts"

/** Largest request body, in bytes. */
const bodyLimit = 64 * 1024 * 1024

const decodeBody = Schema.decodeUnknownResult(Schema.fromJsonString(requestBody.RequestBody))
const decodeNamelessBody = Schema.decodeUnknownResult(Schema.fromJsonString(requestBody.NamelessBody))

const bodyTooLarge = `The body is larger than ${bodyLimit} bytes`

const headerOf = (request: IncomingMessage, name: string): string => {
  const value = request.headers[name]
  return typeof value === "string" ? value : ""
}

const singleHeaders = (request: IncomingMessage): { readonly [name: string]: string } => {
  const headers: { [name: string]: string } = {}
  for (const name in request.headers) headers[name] = headerOf(request, name)
  return headers
}

/** `deployment`: the model, where the path names it, as Azure's do. */
interface Paths {
  readonly path: string
  readonly endpoint: string
  readonly deployment: string | undefined
  readonly search: string
  readonly redirected: boolean
}

const pathsOf = (url: string): Paths => {
  const full = url.split("?", 1)[0] ?? ""
  const redirected = full.startsWith("/redirected/")
  const path = redirected ? full.slice("/redirected".length) : full
  const azure = path.startsWith("/openai/") ? /^\/openai(?:\/deployments\/([^/]+)|\/v1)(\/.+)$/.exec(path) : null
  const endpoint = azure?.[2] ?? (path.startsWith("/v1/") ? path.slice(3) : path)
  return { path, endpoint, deployment: decoded(azure?.[1]), search: url.slice(full.length), redirected }
}

const decoded = (segment: string | undefined): string | undefined => {
  try {
    return segment === undefined ? undefined : decodeURIComponent(segment)
  } catch {
    return segment
  }
}

/** A request whose body is being read. */
interface Arrived {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly paths: Paths
  /** On the monotonic clock. */
  readonly nanos: number
  readonly entry: truths.Entry
}

/** What a request asks of the model, in whatever format; `outputTokens` is `undefined` when it does not say. */
interface Demand {
  readonly model: string
  readonly prompt: () => string
  readonly promptTokens: number
  readonly outputTokens: number | undefined
  readonly badModelName: (message: string) => Answer
  readonly tooLarge: (message: string) => Answer
  readonly refusal: (faults: ReadonlyArray<Fault.Fault>) => Answer | undefined
}

export interface Handler {
  /** Answers one request; ends early when the client goes away. */
  readonly answer: (request: IncomingMessage, response: ServerResponse) => Effect.Effect<void>
  readonly connected: (socket: Socket) => void
}

/** `countTokens`: tokens of a prompt; `truthLimit`: moments to keep, `undefined` for none. */
export const make = (options: {
  readonly model: ModelServer["Service"]
  readonly clock: Clock.Clock
  readonly countTokens: (text: string) => number
  readonly truthLimit: number | undefined
}): Handler => {
  const { clock, countTokens, model, truthLimit } = options
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

  /** Lets a request in to the model, or answers it with why not. */
  const admit = Effect.fnUntraced(function* ({ entry, nanos, request, response }: Arrived, demand: Demand) {
    const behaviour = parseModelName(demand.model)
    if (typeof behaviour === "string") {
      return yield* refuse(response, demand.badModelName(`In the model name: ${behaviour}`))
    }
    const key = /(\d+)$/.exec(entry.requestId)?.[1] ?? entry.id
    const faults = yield* model.faults(key, behaviour.faults)
    const slow = Fault.find(faults, "slow-headers")
    if (slow !== undefined) yield* Effect.sleep(slow.number)
    const headers: { readonly [name: string]: string } =
      entry.requestId === "" ? {} : { "x-request-id": entry.requestId }
    const refused = demand.refusal(faults)
    if (refused !== undefined) {
      counts.refused += 1
      return yield* exchange.reply(response, { ...refused, headers: { ...headers, ...refused.headers } })
    }
    const asked = demand.outputTokens
    const pieces = model.answer({
      id: key,
      prompt: demand.prompt(),
      reasoningTokens: Fault.find(faults, "reasoning")?.number
    })
    const limit = behaviour.outputTokens ?? asked
    const outputTokens =
      pieces === undefined ? (limit ?? model.options.defaultOutputTokens) : Math.min(limit ?? Infinity, pieces.length)
    const generation = yield* Effect.result(
      model.generate({
        id: key,
        inputTokens: demand.promptTokens,
        outputTokens,
        ttft: behaviour.ttft,
        itl: behaviour.itl,
        tokensPerChunk: behaviour.tokensPerChunk,
        pieces,
        arrivedNanos: slow === undefined ? nanos : undefined
      })
    )
    if (Result.isFailure(generation)) return yield* refuse(response, demand.tooLarge(generation.failure.message))
    const admitted: answer.Admitted = {
      request,
      response,
      faults,
      content: content.make(faults),
      promptTokens: demand.promptTokens,
      outputTokens,
      headers,
      sent: (chunks) => {
        if (truth === undefined) return
        const at = epochSeconds()
        for (let i = 0; i < chunks; i++) entry.sent.push(at)
      }
    }
    const asTool = Fault.find(faults, "tool") !== undefined
    return { admitted, chunks: generation.success, asTool, atLimit: asked !== undefined && outputTokens >= asked }
  })

  const complete = Effect.fnUntraced(function* (arrived: Arrived): Effect.fn.Return<boolean, never, Scope.Scope> {
    const { entry, paths, request, response } = arrived
    const bytes = yield* exchange.readBody(request, bodyLimit)
    if (bytes === undefined) {
      yield* refuse(response, invalid(413, bodyTooLarge))
      return false
    }
    if (credentials.standing(request.headers, new URLSearchParams()) !== "good") {
      yield* refuse(response, incorrectKey)
      return false
    }
    const { deployment } = paths
    if (deployment !== undefined && !new URLSearchParams(paths.search).has("api-version")) {
      yield* refuse(response, invalid(404, "Resource not found: the query has no api-version", "404"))
      return false
    }
    const text = bytes.toString("utf8")
    const read =
      deployment === undefined
        ? decodeBody(text)
        : Result.map(decodeNamelessBody(text), (rest) => ({ ...rest, model: deployment }))
    if (Result.isFailure(read)) {
      yield* refuse(response, invalid(400, `We could not read the body of your request: ${read.failure.message}`))
      return false
    }
    const body = read.success
    const asksUsage = body.stream_options !== undefined && body.stream_options !== null
    const { path, redirected, search } = paths
    const address = deployment === undefined ? path : path + search
    const entered = yield* admit(arrived, {
      model: body.model,
      prompt: () => requestBody.promptText(body),
      promptTokens: requestBody.promptTokens(body, countTokens),
      outputTokens: body.max_completion_tokens ?? body.max_tokens ?? undefined,
      badModelName: (message) => invalid(400, message, null, "model"),
      tooLarge: (message) => invalid(400, message, "context_length_exceeded"),
      refusal: (faults) => refusal(faults, { model: body.model, path: address, redirected, asksUsage })
    })
    if (entered === undefined) return false
    const chat = paths.endpoint === "/chat/completions"
    const accepted: answer.Accepted = {
      ...entered.admitted,
      body,
      identity: { chat, ordinal: entry.id, model: body.model, createdSeconds: Math.floor(epochSeconds()) },
      finishReason: chat && entered.asTool ? "tool_calls" : entered.atLimit ? "length" : "stop"
    }
    return yield* body.stream === true
      ? answer.streamed(accepted, entered.chunks)
      : answer.whole(accepted, entered.chunks)
  })

  /** The same in the format of a dialect. */
  const converse = Effect.fnUntraced(function* (
    arrived: Arrived,
    dialect: Dialect
  ): Effect.fn.Return<boolean, never, Scope.Scope> {
    const { entry, paths, request, response } = arrived
    const bytes = yield* exchange.readBody(request, bodyLimit)
    if (bytes === undefined) {
      yield* refuse(response, dialect.error(413, "invalid_request_error", bodyTooLarge))
      return false
    }
    const incoming: Incoming = {
      method: request.method ?? "",
      path: paths.path,
      query: new URLSearchParams(paths.search),
      headers: singleHeaders(request),
      body: bytes
    }
    const standing = credentials.standing(request.headers, incoming.query)
    if (standing !== "good") {
      const wrong = dialect.error(401, "authentication_error", `The key is ${standing}.`)
      yield* refuse(response, standing === "expired" ? (dialect.expired?.() ?? wrong) : wrong)
      return false
    }
    const asked = dialect.read(incoming)
    if (isAnswer(asked)) {
      yield* refuse(response, asked)
      return false
    }
    const promptTokens = Math.max(1, countTokens(asked.prompt))
    const address = paths.path + paths.search
    const invalidRequest = (message: string): Answer => dialect.error(400, "invalid_request_error", message)
    const entered = yield* admit(arrived, {
      model: asked.model,
      prompt: () => asked.prompt,
      promptTokens,
      outputTokens: asked.outputTokens,
      badModelName: invalidRequest,
      tooLarge: invalidRequest,
      refusal: (faults) => refusalOf(dialect, faults, { model: asked.model, address, redirected: paths.redirected })
    })
    if (entered === undefined) return false
    const accepted: dialectAnswer.Accepted = {
      ...entered.admitted,
      dialect,
      asked,
      identity: {
        promptTokens,
        ordinal: entry.id,
        model: asked.model.split(";", 1)[0] ?? "",
        createdSeconds: Math.floor(epochSeconds())
      },
      reason: entered.asTool ? "tool" : entered.atLimit ? "length" : "stop"
    }
    return yield* asked.stream
      ? dialectAnswer.streamed(accepted, entered.chunks)
      : dialectAnswer.whole(accepted, entered.chunks)
  })

  /** Counts a request and has it answered by `respond`, which says whether it was answered in full. */
  const completion = (
    request: IncomingMessage,
    response: ServerResponse,
    paths: Paths,
    respond: (arrived: Arrived) => Effect.Effect<boolean, never, Scope.Scope>
  ): Effect.Effect<void> =>
    Effect.suspend(() => {
      const nanos = now()
      counts.requests += 1
      counts.live += 1
      counts.peakLive = Math.max(counts.peakLive, counts.live)
      const requestId = headerOf(request, "x-request-id")
      const entry: truths.Entry = {
        id: counts.requests,
        requestId,
        received: wallOffset + nanos * 1e-9,
        sent: []
      }
      let ok = false
      return Effect.scoped(respond({ request, response, paths, nanos, entry })).pipe(
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
    if (isCompletion && request.method === "POST") return completion(request, response, paths, complete)
    const dialect = isCompletion ? undefined : dialects.find(request.method ?? "", paths.path)
    if (dialect !== undefined) return completion(request, response, paths, (arrived) => converse(arrived, dialect))
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
