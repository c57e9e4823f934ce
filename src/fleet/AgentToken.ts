/**
 * A secret that agents and coordinators share: every call must carry it.
 *
 * Without TLS it can be read by everybody on the way; see `Tls`.
 *
 * @since 0.2.0
 */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Headers from "effect/http/Headers"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as RpcMiddleware from "effect/rpc/RpcMiddleware"
import * as Schema from "effect/Schema"
import { LoadAgentRpcs } from "../engine/LoadAgent.ts"
import * as Bearer from "./internal/bearer.ts"
import * as Files from "./internal/files.ts"

/** Fewer could be tried out. */
const FEWEST_CHARACTERS = 16
const MOST_CHARACTERS = 4_096

/**
 * A call without the token of the agent.
 *
 * @category errors
 * @since 0.2.0
 */
export class Unauthorized extends Schema.TaggedError<Unauthorized>("llmperf/fleet/Unauthorized")("Unauthorized", {}) {
  override get message(): string {
    return "it has another token. Give both the same one: --token-file"
  }
}

/**
 * The file of a token cannot be used. `advice` says what to do about it.
 *
 * @category errors
 * @since 0.2.0
 */
export class TokenError extends Schema.TaggedError<TokenError>("llmperf/fleet/TokenError")("TokenError", {
  path: Schema.String,
  problem: Schema.String,
  advice: Schema.String
}) {
  override get message(): string {
    return `--token-file ${this.path}: ${this.problem}. ${this.advice}`
  }
}

/**
 * Lets calls pass that carry the token, and lets clients carry it.
 *
 * @category services
 * @since 0.2.0
 */
export class Token extends RpcMiddleware.Service<Token>()("llmperf/fleet/Token", {
  error: Unauthorized,
  requiredForClient: true
}) {}

/**
 * The protocol of agents on other machines: `LoadAgentRpcs`, of which every call needs the token.
 *
 * @category protocol
 * @since 0.2.0
 */
export class SecuredRpcs extends LoadAgentRpcs.middleware(Token) {}

const MAKE = "Make one with: openssl rand -hex 32"

/**
 * Reads the token in a file: one word of at least 16 characters. A file that every user of the machine can read is refused.
 *
 * @category reading
 * @since 0.2.0
 */
export const read = Effect.fn("AgentToken.read")(function* (
  path: string
): Effect.fn.Return<Redacted.Redacted, TokenError, FileSystem.FileSystem> {
  const wrong = (problem: string, advice: string) => new TokenError({ path, problem, advice })
  const { everybodyReads, text } = yield* Files.read(path).pipe(
    Effect.mapError(({ problem }) => wrong(problem, `It holds the secret of agents and coordinator. ${MAKE}`))
  )
  if (everybodyReads) {
    return yield* wrong("every user of this machine can read it", `It is a secret: chmod 600 ${path}`)
  }
  const token = text.trim()
  if (token.length < FEWEST_CHARACTERS) {
    return yield* wrong(`a token has at least ${FEWEST_CHARACTERS} characters, this has ${token.length}`, MAKE)
  }
  if (token.length > MOST_CHARACTERS || !/^[\x21-\x7e]+$/.test(token)) {
    return yield* wrong("a token is one word of plain letters, digits and signs, and this is something else", MAKE)
  }
  return Redacted.make(token, { label: "token" })
})

/**
 * The side of the agent: calls without this token fail with `Unauthorized`. How long it takes to find out says nothing about the
 * token.
 *
 * @category layers
 * @since 0.2.0
 */
export const layerServer = (token: Redacted.Redacted): Layer.Layer<Token> => {
  const isToken = Bearer.check(token)
  return Layer.succeed(Token, (call, { headers }) =>
    isToken(headers[Bearer.NAME]) ? call : Effect.fail(new Unauthorized())
  )
}

/**
 * The side of the coordinator: every call carries this token.
 *
 * @category layers
 * @since 0.2.0
 */
export const layerClient = (token: Redacted.Redacted): Layer.Layer<RpcMiddleware.ForClient<Token>> =>
  RpcMiddleware.layerClient(Token, ({ next, request }) =>
    next({ ...request, headers: Headers.set(request.headers, Bearer.NAME, Bearer.value(token)) })
  )
