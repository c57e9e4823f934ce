import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Cause from "effect/Cause"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { type Command } from "effect/cli"
import * as LlmError from "../../domain/LlmError.ts"
import { type RequestPlan } from "../../domain/RequestPlan.ts"
import { type TokenEvent } from "../../domain/TokenEvent.ts"
import * as ProbeReport from "../../output/ProbeReport.ts"
import * as Screen from "../../output/Screen.ts"
import * as TokenizerCheck from "../../output/TokenizerCheck.ts"
import { Provider } from "../../provider/Provider.ts"
import * as TokenizeEndpoint from "../../provider/TokenizeEndpoint.ts"
import * as Transport from "../../provider/Transport.ts"
import * as Tokenizer from "../../workload/Tokenizer.ts"
import { usage } from "../CommandError.ts"
import { Ended, ExitCode } from "../ExitCode.ts"
import { newRunId } from "../internal/newRunId.ts"
import { type probeFlags } from "../internal/probeFlags.ts"
import { FIXED_SEED } from "../internal/seed.ts"
import * as Outcome from "../internal/outcome.ts"
import * as Surroundings from "../internal/surroundings.ts"
import * as Providers from "../internal/providers.ts"

type Input = Command.Command.Config.Infer<typeof probeFlags>

/** How soon an event is shown after it came, in milliseconds. Its time is that of its arrival. */
const FLUSH_MS = 10

/** How long the server may take to count a few texts. */
const TOKENIZE_MS = 5_000

const providerLayer = (input: Input, runId: string) =>
  Providers.layer(input, { ...input, runId, seed: FIXED_SEED, tokenizer: Tokenizer.llamaName })

type Seen =
  | { readonly _tag: "Request"; readonly request: Transport.ShownRequest }
  | {
      readonly _tag: "Response"
      readonly status: number
      readonly headers: ReadonlyArray<readonly [name: string, value: string]>
      readonly at: number
    }
  | { readonly _tag: "Body"; readonly text: string }
  | { readonly _tag: "Event"; readonly event: TokenEvent }
  | { readonly _tag: "Over"; readonly error: LlmError.LlmError | null }

const withLimit = (
  request: Effect.Effect<void, LlmError.LlmError>,
  limit: number | null
): Effect.Effect<void, LlmError.LlmError> =>
  limit === null
    ? request
    : Effect.timeoutOrElse(request, {
        duration: limit * 1_000,
        orElse: () => LlmError.fromReason(new LlmError.Timeout({ phase: "total", limitSeconds: limit }))
      })

const errorOf = (exit: Exit.Exit<void, LlmError.LlmError>): LlmError.LlmError | null => {
  if (Exit.isSuccess(exit)) return null
  const error = Cause.findErrorOption(exit.cause)
  if (Option.isSome(error)) return error.value
  return LlmError.fromReason(new LlmError.Internal({ description: Cause.pretty(exit.cause) }))
}

/** Sends the request in a fiber of its own; what is seen of it comes in the order in which it happens. */
const watch = Effect.fnUntraced(function* (plan: RequestPlan, limit: number | null) {
  const provider = yield* Provider
  const seen = yield* Queue.unbounded<Seen>()
  const observer: Transport.Observer = {
    onRequest: (request) => Queue.offerUnsafe(seen, { _tag: "Request", request }),
    onResponse: (status, headers, at) => Queue.offerUnsafe(seen, { _tag: "Response", status, headers, at }),
    onBody: (text) => Queue.offerUnsafe(seen, { _tag: "Body", text })
  }
  const request = Stream.runForEach(provider.stream(plan), (event) => Queue.offer(seen, { _tag: "Event", event }))
  yield* withLimit(request, limit).pipe(
    Effect.exit,
    Effect.provideService(Transport.Observed, observer),
    Effect.flatMap((exit) => Queue.offer(seen, { _tag: "Over", error: errorOf(exit) })),
    Effect.forkScoped
  )
  return seen
})

/** The transport as it is, and the last request that went through it. */
const remembering = (transport: Transport.Service) => {
  const asked: Asked = { request: null }
  const stream: Transport.Service["stream"] = (make, format) =>
    transport.stream(() => {
      asked.request = make()
      return asked.request
    }, format)
  return { asked, transport: Transport.Transport.of({ ...transport, stream }) }
}

interface Asked {
  request: Transport.HttpRequest | null
}

/** Some texts, as the tokenizer and the server count them; why not, where the server does not say. */
const counted = Effect.fnUntraced(
  function* ({ model }: Input, { request }: Asked, tokenizer: Tokenizer.Tokenizer["Service"]) {
    if (request === null || TokenizeEndpoint.pathFor(request.path) === null) return "this API has no /tokenize"
    const all: Array<TokenizerCheck.Counted> = []
    for (const { name, text } of TokenizerCheck.texts) {
      const server = yield* TokenizeEndpoint.count(request, model, text)
      if (server === null) return "this server has no /tokenize"
      all.push({ name, tokenizer: tokenizer.count(text), server })
    }
    return all
  },
  // The request itself has worked: that this is not to be had is no failure of it
  Effect.catchTag("LlmError", ({ errorCode }) => Effect.succeed(`the server refused /tokenize (${errorCode})`)),
  Effect.timeoutOrElse({ duration: TOKENIZE_MS, orElse: () => Effect.succeed("the server did not answer /tokenize") })
)

const probe = Effect.fnUntraced(function* (input: Input, asked: Asked) {
  const tokenizer = yield* Tokenizer.Tokenizer
  const plan: RequestPlan = {
    id: 1,
    dueSeconds: null,
    prompt: input.prompt,
    inputTokens: 0,
    targetInputTokens: 0,
    outputTokens: input.maxTokens,
    sampled: true
  }
  const report = ProbeReport.make(yield* Screen.detect("stdout"), yield* Outcome.asked)
  const print = (lines: ReadonlyArray<string>) =>
    input.json || lines.length === 0 ? Effect.void : Console.log(lines.join("\n"))
  const seen = yield* watch(plan, input.requestTimeout)
  for (;;) {
    const next = yield* Queue.take(seen)
    switch (next._tag) {
      case "Request":
        yield* print(report.request(next.request))
        break
      case "Response":
        report.response(next.status, next.headers, next.at)
        break
      case "Body":
        report.body(next.text)
        break
      case "Event":
        yield* print(report.event(next.event))
        break
      case "Over":
        yield* print(report.over(next.error))
        if (next.error === null) yield* print(report.tokenizer(tokenizer.name, yield* counted(input, asked, tokenizer)))
        if (input.json) yield* Console.log(report.json())
        return next.error
    }
  }
}, Effect.scoped)

/** Sends one request and shows it. Ends with 1 when it failed. */
export const handle = Effect.fn("probe")(
  function* (input: Input) {
    const runId = yield* newRunId
    const { options } = yield* Surroundings.networkOf(input)
    const layer = Transport.layer({ ...options, idleSeconds: input.idleTimeout, flushMs: FLUSH_MS })
    const error = yield* Effect.gen(function* () {
      const { asked, transport } = remembering(yield* Transport.Transport)
      return yield* probe(input, asked).pipe(
        Effect.provide(Layer.provideMerge(providerLayer(input, runId), Layer.succeed(Transport.Transport, transport)))
      )
    }).pipe(Effect.provide(Layer.merge(layer, Tokenizer.layer(Surroundings.tokenizerOf(input)))))
    if (error !== null) return yield* new Ended({ exitCode: ExitCode.failed })
  },
  Effect.catchTags({
    LlmError: (error) => Effect.fail(usage(error.message)),
    ConfigError: (error) => Effect.fail(usage(error.message)),
    SimulatorError: (error) => Effect.fail(usage(error.message)),
    TokenizerError: (error) => Effect.fail(usage(error.message))
  })
)
