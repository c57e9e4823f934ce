import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Cause from "effect/Cause"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { type LlmError } from "../../src/domain/LlmError.ts"
import { type RequestPlan } from "../../src/domain/RequestPlan.ts"
import { type TokenEvent } from "../../src/domain/TokenEvent.ts"
import * as OpenAi from "../../src/provider/OpenAi.ts"
import * as Transport from "../../src/provider/Transport.ts"

export const plan: RequestPlan = {
  id: 7,
  dueSeconds: null,
  sampled: true,
  prompt: "Say “hello” 👋",
  inputTokens: 5,
  targetInputTokens: 5,
  outputTokens: 20
}

/** What came of a request. */
export interface Asked {
  readonly events: ReadonlyArray<TokenEvent>
  readonly error: LlmError | undefined
}

export const collect = Effect.fnUntraced(function* (
  stream: Stream.Stream<TokenEvent, LlmError>
): Effect.fn.Return<Asked> {
  const events: Array<TokenEvent> = []
  const exit = yield* Effect.exit(
    Stream.runForEach(stream, (event) =>
      Effect.sync(() => {
        events.push(event)
      })
    )
  )
  if (Exit.isSuccess(exit)) return { events, error: undefined }
  const error = Cause.findErrorOption(exit.cause)
  return Option.isSome(error) ? { events, error: error.value } : yield* Effect.die(Cause.pretty(exit.cause))
})

/** The text of an answer, all its kinds together. */
export const textOf = ({ events }: Asked): string =>
  events.flatMap((event) => (event._tag === "Content" ? event.text : [])).join("")

/** The kinds of events in their order. Into how many batches the content falls depends on the machine: it counts once. */
export const tagsOf = ({ events }: Asked): ReadonlyArray<string> =>
  events.map(({ _tag }) => _tag).filter((tag, index, tags) => tag !== "Content" || tags[index - 1] !== "Content")

export const find = <Tag extends TokenEvent["_tag"]>(
  { events }: Asked,
  tag: Tag
): Extract<TokenEvent, { readonly _tag: Tag }> | undefined =>
  events.find((event): event is Extract<TokenEvent, { readonly _tag: Tag }> => event._tag === tag)

export interface AskOptions extends Transport.Options, Partial<Omit<OpenAi.Options, "apiBase">> {}

/** A client of one server, with a transport of its own. */
export const client = Effect.fnUntraced(function* (apiBase: string, options: AskOptions = {}) {
  const transport = yield* Transport.make({ connectSeconds: 5, idleSeconds: 10, flushMs: 5, ...options })
  const provider = yield* Effect.provideService(
    OpenAi.make({ apiKey: null, model: "m", includeUsage: false, ...options, apiBase }),
    Transport.Transport,
    transport
  )
  const ask = Effect.suspend(() => collect(provider.stream(plan)))
  return { transport, provider, ask }
})

/** Asks a server once. */
export const ask = (apiBase: string, options?: AskOptions) =>
  Effect.scoped(Effect.flatMap(client(apiBase, options), ({ ask }) => ask))
