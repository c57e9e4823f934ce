/**
 * The main thread's side of work that is done on a worker thread: what goes over, and a queue that sends one message at a
 * time.
 */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Queue from "effect/Queue"
import * as Worker from "effect/workers/Worker"
import { TokenizerError } from "../Tokenizer.ts"

/** Calls that the worker answers in order. */
export type Request<Call> = ReadonlyArray<Call>

/** Their answers in the same order, or why there are none. */
export type Reply<Answer> = ReadonlyArray<Answer> | { readonly failed: string }

interface Waiting<Call, Answer> {
  readonly call: Call
  readonly answer: Deferred.Deferred<Answer, TokenizerError>
}

const whyEnded = (exit: Exit.Exit<unknown, unknown>): string => {
  if (Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause)) return "its thread was stopped with the run"
  const error = Cause.squash(exit.cause)
  return `its thread has ended: ${error instanceof Error ? error.message : String(error)}`
}

/** In real time whatever the clock of the run: the thread is a real one. */
const realPause = (millis: number): Effect.Effect<void> =>
  Effect.callback((resume) => {
    const timer = setTimeout(() => resume(Effect.void), millis)
    return Effect.sync(() => clearTimeout(timer))
  })

/**
 * Calls the worker of the platform, which ends with the scope. Answers come in the order of the calls. `tokenizer` is the
 * name for errors. After a message that was not full calls gather for `gatherMillis`: one message for many costs the calling thread little more
 * than one for each.
 */
export const make = Effect.fnUntraced(function* <Call, Answer>(options: {
  readonly tokenizer: string
  readonly callsPerMessage: number
  readonly gatherMillis: number
}) {
  const { callsPerMessage, gatherMillis, tokenizer } = options
  const errorOf = (description: string) => new TokenizerError({ tokenizer, description })
  const platform = yield* Worker.WorkerPlatform
  const worker = yield* Effect.mapError(platform.spawn<Reply<Answer>, Request<Call>>(0), ({ message }) =>
    errorOf(message)
  )
  const queue = yield* Queue.unbounded<Waiting<Call, Answer>>()
  let sent: ReadonlyArray<Waiting<Call, Answer>> = []
  let reply = Deferred.makeUnsafe<void>()
  let ended: TokenizerError | undefined

  const fail = (batch: ReadonlyArray<Waiting<Call, Answer>>, error: TokenizerError): void => {
    for (const { answer } of batch) Deferred.doneUnsafe(answer, Effect.fail(error))
  }
  const onReply = (answers: Reply<Answer>) =>
    Effect.sync(() => {
      const batch = sent
      sent = []
      if ("failed" in answers) fail(batch, errorOf(answers.failed))
      else {
        for (const [i, value] of answers.entries()) {
          const waiting = batch[i]
          if (waiting !== undefined) Deferred.doneUnsafe(waiting.answer, Effect.succeed(value))
        }
        fail(batch.slice(answers.length), errorOf("its thread gave no answer"))
      }
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
    sent = yield* Queue.takeBetween(queue, 1, callsPerMessage)
    const isPart = sent.length < callsPerMessage
    reply = Deferred.makeUnsafe()
    yield* worker.send(sent.map(({ call }) => call))
    yield* Deferred.await(reply)
    if (gatherMillis > 0 && isPart) yield* realPause(gatherMillis)
  })

  yield* Effect.raceFirst(worker.run(onReply), Effect.forever(send)).pipe(
    Effect.onExit(end),
    Effect.exit,
    Effect.forkScoped
  )

  return (call: Call): Effect.Effect<Answer, TokenizerError> =>
    Effect.suspend(() => {
      if (ended !== undefined) return Effect.fail(ended)
      const answer = Deferred.makeUnsafe<Answer, TokenizerError>()
      Queue.offerUnsafe(queue, { call, answer })
      return Deferred.await(answer)
    })
})
