import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Predicate from "effect/Predicate"
import * as Stream from "effect/Stream"
import packageJson from "../../../package.json" with { type: "json" }
import * as LlmError from "../../domain/LlmError.ts"
import { Provider, type Service } from "../../provider/Provider.ts"
import { type RequestOptions } from "../../provider/RequestOptions.ts"
import { type Format, Transport } from "../../provider/Transport.ts"
import { type StreamDecoder } from "../../provider/wire/StreamDecoder.ts"
import { type CommandError, usage } from "../CommandError.ts"

/** What a module's `layer` is given when it is a function: what the flags say, `apiBase` as it was written. */
export interface Options extends RequestOptions {
  readonly apiBase?: string | undefined
}

/** What the API is called in the results: by the name of the module, if there is one. */
export const llmApiOf = (input: {
  readonly llmApi: { readonly value: string }
  readonly provider: Option.Option<string>
}): string => Option.match(input.provider, { onNone: () => input.llmApi.value, onSome: nameOf })

/** The name of a file without its folder. */
export const nameOf = (file: string): string => file.slice(Math.max(file.lastIndexOf("/"), file.lastIndexOf("\\")) + 1)

type OwnLayer = Layer.Layer<Provider, LlmError.LlmError, Transport>

/** What it gives, asks for and fails with cannot be seen before it is built; the module's author is told to keep to this. */
const isOwnLayer = (value: unknown): value is OwnLayer => Layer.isLayer(value)

const isMaker = (value: unknown): value is (options: Options) => unknown => typeof value === "function"

const isService = (value: unknown): value is Service =>
  Predicate.hasProperty(value, "stream") && typeof value.stream === "function"

const messageOf = (error: unknown): string => {
  const text = Predicate.hasProperty(error, "message") ? error.message : error
  return String(text).trim() || String(error)
}

const wrong = (file: string, problem: string): CommandError => usage(`--provider ${file}: ${problem}`)

/** Packages that a provider imports, and which a program installed elsewhere cannot lend it: those that it was made with. */
const installed = `llmperf@${packageJson.version} effect@${packageJson.peerDependencies.effect}`
const notInstalled = /Cannot find (?:package|module) '(effect|llmperf)(?:\/[^']*)?'/

const whyNotLoaded = (error: unknown): string => {
  const message = messageOf(error)
  const missing = notInstalled.exec(message)?.[1]
  return missing === undefined
    ? `it cannot be loaded: ${message}`
    : `it imports ${missing}, which is not installed beside it: run "npm install ${installed}" in its folder`
}

const whyNotBuilt = (cause: Cause.Cause<unknown>): string => messageOf(Cause.squash(cause))

const importModule = Effect.fn("OwnProvider.load")(function* (file: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const absolute = path.resolve(file)
  const info = yield* Effect.option(fs.stat(absolute))
  if (Option.isNone(info)) return yield* wrong(file, `there is no such file (${absolute})`)
  if (info.value.type !== "File") return yield* wrong(file, "it is not a file")
  const url = yield* Effect.mapError(path.toFileUrl(absolute), ({ message }) => wrong(file, message))
  const loaded: unknown = yield* Effect.tryPromise({
    try: () => import(url.href),
    catch: (error) => wrong(file, whyNotLoaded(error))
  })
  return loaded
})

const layerOf = Effect.fnUntraced(function* (file: string, options: Options) {
  const loaded = yield* importModule(file)
  const exported = Predicate.hasProperty(loaded, "layer") ? loaded.layer : undefined
  if (exported === undefined) {
    const names = Predicate.isObject(loaded) ? Object.keys(loaded) : []
    const found = names.length === 0 ? "exports nothing" : `exports ${names.join(", ")}`
    return yield* wrong(file, `it must export a layer under the name "layer", and ${found}`)
  }
  const made: unknown =
    !isOwnLayer(exported) && isMaker(exported)
      ? yield* Effect.try({
          try: () => exported(options),
          catch: (error) => wrong(file, `its layer function failed: ${messageOf(error)}`)
        })
      : exported
  if (isOwnLayer(made)) return made
  return yield* wrong(
    file,
    isMaker(exported)
      ? "its layer function must return a Layer of effect 4, and returned something else"
      : `its "layer" is neither a Layer of effect 4 nor a function that returns one`
  )
})

/** What a provider throws, dies of, or fails with though it is no `LlmError`: told with its stack and by the provider's name. */
const defect = (file: string, cause: Cause.Cause<unknown>): LlmError.Internal =>
  new LlmError.Internal({ description: `the provider ${nameOf(file)} failed: ${Cause.pretty(cause)}` })

const asLlmError = (file: string, cause: Cause.Cause<unknown>): Effect.Effect<never, LlmError.LlmError> => {
  if (Cause.hasInterruptsOnly(cause)) return Effect.interrupt
  const error = Option.getOrUndefined(Cause.findErrorOption(cause))
  const isKnown = error instanceof LlmError.LlmError || isForeignLlmError(error)
  return Effect.fail(isKnown ? error : LlmError.fromReason(defect(file, cause)))
}

const failing = (reason: LlmError.Internal): StreamDecoder => ({ push: () => reason, end: () => reason, done: false })

/**
 * A transport that knows what comes from the provider's own reading of answers: an exception there, thrown into the callback of a
 * socket, would else look like a lost connection.
 */
const guarded = (transport: Transport["Service"], file: string): Transport["Service"] => {
  const attempt = <A>(run: () => A): A | LlmError.Internal => {
    try {
      return run()
    } catch (error) {
      return defect(file, Cause.die(error))
    }
  }
  const guardedDecoder = (decoder: StreamDecoder): StreamDecoder => {
    const { pushPart } = decoder
    return {
      push: (bytes, at) => attempt(() => decoder.push(bytes, at)),
      ...(pushPart === undefined
        ? {}
        : {
            pushPart: (bytes: Buffer, start: number, end: number, at: number) =>
              attempt(() => pushPart.call(decoder, bytes, start, end, at))
          }),
      end: (at) => attempt(() => decoder.end(at)),
      get done() {
        return decoder.done
      }
    }
  }
  const guardedFormat = ({ accepts, errorOf, makeDecoder }: Format): Format => {
    // A body that is accepted gets its decoder at once.
    let refused: LlmError.Internal | undefined
    return {
      makeDecoder: (out) => {
        const made = refused ?? attempt(() => makeDecoder(out))
        refused = undefined
        return made instanceof LlmError.Internal ? failing(made) : guardedDecoder(made)
      },
      errorOf: (body, headers) => {
        const error = attempt(() => errorOf(body, headers))
        return error instanceof LlmError.Internal
          ? new LlmError.InStream({ description: error.message, code: error.errorCode, type: null })
          : error
      },
      accepts:
        accepts &&
        ((bytes, contentType) => {
          const accepted = attempt(() => accepts(bytes, contentType))
          if (!(accepted instanceof LlmError.Internal)) return accepted
          refused = accepted
          return true
        })
    }
  }
  return { ...transport, stream: (request, format) => transport.stream(request, guardedFormat(format)) }
}

/** One that was made by the copy of llmperf that the module imports. */
const isForeignLlmError = (error: unknown): error is LlmError.LlmError =>
  Predicate.isTagged(error, "LlmError") && "reason" in error && "errorCode" in error

/**
 * The provider of a module, which is imported when the layer is built; `file` is relative to the working directory. Whatever is
 * wrong with it is told as wrong use, before anything is sent.
 *
 * The module imports its own copies of `effect` and llmperf. The layer works all the same when they are of the same version,
 * because services are found by the names of their keys.
 */
export const load = (
  file: string,
  { apiBase, headers, model, requestId, samplingParams }: Options
): Layer.Layer<Provider, CommandError, Transport | FileSystem.FileSystem | Path.Path> =>
  Layer.effect(
    Provider,
    Effect.gen(function* () {
      const own = yield* layerOf(file, { apiBase, headers, model, requestId, samplingParams })
      const built = yield* Effect.exit(
        Layer.build(own).pipe(Effect.updateService(Transport, (transport) => guarded(transport, file)))
      )
      if (Exit.isFailure(built)) {
        return yield* Cause.hasInterruptsOnly(built.cause)
          ? Effect.interrupt
          : wrong(file, `its layer failed: ${whyNotBuilt(built.cause)}`)
      }
      const service: unknown = Context.getOrUndefined(built.value, Provider)
      if (!isService(service)) return yield* wrong(file, "its layer gives no Provider")
      return Provider.of({
        name: nameOf(file),
        origin: service.origin ?? null,
        stream: (plan) =>
          Stream.catchCause(
            Stream.suspend(() => service.stream(plan)),
            (cause) => Stream.fromEffect(asLlmError(file, cause))
          )
      })
    })
  )
