/**
 * The main thread's side of counting on a worker thread: what goes over, and a queue that sends one batch at a time.
 */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Queue from "effect/Queue"
import * as Worker from "effect/workers/Worker"
import { TokenizerError } from "../Tokenizer.ts"

/** Texts to count. */
export type Request = ReadonlyArray<string>

/** Their counts in the same order, or why they could not be counted. */
export type Reply = ReadonlyArray<number> | { readonly failed: string }

interface Waiting {
  readonly text: string
  readonly answer: Deferred.Deferred<number, TokenizerError>
}

// Large enough that a message costs little per text, small enough that a closing scope never waits long.
const TEXTS_PER_MESSAGE = 128

const whyEnded = (exit: Exit.Exit<unknown, unknown>): string => {
  if (Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause)) return "its thread was stopped with the run"
  const error = Cause.squash(exit.cause)
  return `its thread has ended: ${error instanceof Error ? error.message : String(error)}`
}

/** Counts on the worker of the platform. The worker ends with the scope. */
export const make = Effect.fnUntraced(function* (name: string) {
  const errorOf = (description: string) => new TokenizerError({ tokenizer: name, description })
  const platform = yield* Worker.WorkerPlatform
  const worker = yield* Effect.mapError(platform.spawn<Reply, Request>(0), ({ message }) => errorOf(message))
  const queue = yield* Queue.unbounded<Waiting>()
  let sent: ReadonlyArray<Waiting> = []
  let reply = Deferred.makeUnsafe<void>()
  let ended: TokenizerError | undefined

  const fail = (batch: ReadonlyArray<Waiting>, error: TokenizerError): void => {
    for (const { answer } of batch) Deferred.doneUnsafe(answer, Effect.fail(error))
  }
  const onReply = (counts: Reply) =>
    Effect.sync(() => {
      const batch = sent
      sent = []
      if ("failed" in counts) fail(batch, errorOf(counts.failed))
      else batch.forEach(({ answer }, i) => Deferred.doneUnsafe(answer, Effect.succeed(counts[i] ?? 0)))
      Deferred.doneUnsafe(reply, Effect.void)
    })

  const end = (exit: Exit.Exit<unknown, unknown>) =>
    Effect.suspend(() => {
      const error = errorOf(whyEnded(exit))
      ended = error
      fail(sent, error)
      return Effect.map(Queue.clear(queue), (rest) => fail(rest, error))
    })

  const send = Effect.gen(function* () {
    sent = yield* Queue.takeBetween(queue, 1, TEXTS_PER_MESSAGE)
    reply = Deferred.makeUnsafe()
    yield* worker.send(sent.map(({ text }) => text))
    yield* Deferred.await(reply)
  })

  yield* Effect.raceFirst(worker.run(onReply), Effect.forever(send)).pipe(
    Effect.onExit(end),
    Effect.exit,
    Effect.forkScoped
  )

  const count = (text: string): Effect.Effect<number, TokenizerError> =>
    Effect.suspend(() => {
      if (ended !== undefined) return Effect.fail(ended)
      const answer = Deferred.makeUnsafe<number, TokenizerError>()
      Queue.offerUnsafe(queue, { text, answer })
      return Deferred.await(answer)
    })

  return { name, count }
})
