/**
 * @title A provider of your own
 *
 * A provider turns a planned request into a stream of token events. This one needs no network: it echoes the end of the
 * prompt, a word every 10 ms, and refuses every third request. Run it with `node examples/02_own-provider.ts`.
 */
import { Clock, Console, Effect, Layer, Stream } from "effect"
import * as LlmError from "../src/domain/LlmError.ts"
import type { RequestPlan } from "../src/domain/RequestPlan.ts"
import type { TokenEvent } from "../src/domain/TokenEvent.ts"
import * as ClosedLoop from "../src/engine/ClosedLoop.ts"
import * as RequestRunner from "../src/engine/RequestRunner.ts"
import * as StopSignal from "../src/engine/StopSignal.ts"
import { Provider } from "../src/provider/Provider.ts"

const now = Effect.map(Clock.monotonicTimeNanos, Number)

const echo = (plan: RequestPlan): Stream.Stream<TokenEvent, LlmError.LlmError> => {
  if (plan.id % 3 === 0) {
    return Stream.fail(
      LlmError.fromReason(new LlmError.RateLimited({ status: 429, body: "not every third", retryAfterSeconds: 1 }))
    )
  }
  const word = (text: string) =>
    Effect.map(Effect.delay(now, "10 millis"), (at): TokenEvent => ({
      _tag: "Content",
      kind: "text",
      at: [at],
      text: [text]
    }))
  return Stream.fromEffect(Effect.map(now, (at): TokenEvent => ({ _tag: "Sent", at, connection: null }))).pipe(
    Stream.concat(Stream.fromIterable(plan.prompt.split(" ")).pipe(Stream.mapEffect(word))),
    Stream.concat(Stream.fromEffect(Effect.map(now, (at): TokenEvent => ({ _tag: "Ended", at }))))
  )
}

const layer = Layer.succeed(Provider, Provider.of({ name: "echo", origin: null, stream: echo }))

const plans = Array.from({ length: 6 }, (_, index): RequestPlan => ({
  id: index + 1,
  dueSeconds: null,
  sampled: true,
  prompt: "and summer's lease hath all too short a date",
  inputTokens: 9,
  targetInputTokens: 9,
  outputTokens: 9
}))

const program = Effect.gen(function* () {
  const lines: Array<string> = []
  const runner = yield* RequestRunner.make({
    requestTimeoutSeconds: 5,
    cancelled: () => "cancelled",
    onStart: () => {},
    onFinish: ({ plan, chunkAt, error }) => lines.push(`${plan.id}: ${error?.message ?? `${chunkAt.length} chunks`}`)
  })
  yield* ClosedLoop.run({ plans, concurrency: 2, stop: yield* StopSignal.make, runner })
  yield* Console.log(lines.toSorted().join("\n"))
})

await Effect.runPromise(Effect.provide(program, layer))
