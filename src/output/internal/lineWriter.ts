import * as Array from "effect/Array"
import type * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type { PlatformError } from "effect/PlatformError"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import { type Ended, type EndedElsewhere, type EndedRequest, type Packed } from "../../metrics/Ended.ts"
import { fromPlatformError, type OutputError } from "../OutputError.ts"

/** So many values are turned into text at one go; the event loop has other work. */
const MAX_BATCH = 128
const READ_BYTES = 64 * 1024
/** After a write others gather for so long: one write for many costs the event loop little more than one for each. */
const GATHER_MILLIS = 20

/** A value that becomes a line, or lines that another thread or machine has made. */
export type Item<A> = { readonly value: A; readonly count: 1 } | Packed

/**
 * A file that lines are appended to, one per value, or as they are.
 *
 * - `write` ends when the lines are in the file; use either it or `append`
 * - `append`, `appendLines` never wait; `failure` then tells of a failure
 * - `bytes` reads back what has been written, through the same handle
 */
export interface LineWriter<A> {
  readonly write: (items: ReadonlyArray<Item<A>>) => Effect.Effect<void, OutputError>
  readonly append: (value: A) => void
  readonly appendLines: (lines: Packed) => void
  readonly failure: Effect.Effect<never, OutputError>
  readonly close: Effect.Effect<number, OutputError>
  readonly written: () => number
  readonly bytes: Stream.Stream<Uint8Array, PlatformError>
}

/**
 * Makes the file, which must not exist yet, and keeps it open until the scope closes. `line` gives the text of a value,
 * without its end. Whatever was appended is written before the scope closes, also when the run is interrupted; after a
 * failure nothing more is.
 */
export const makeLineWriter = Effect.fnUntraced(function* <A>(
  path: string,
  line: (value: A) => string
): Effect.fn.Return<LineWriter<A>, OutputError, FileSystem.FileSystem | Scope.Scope> {
  const fs = yield* FileSystem.FileSystem
  const toOutputError = Effect.mapError(fromPlatformError(path))
  const file = yield* fs.open(path, { flag: "wx+" }).pipe(toOutputError)
  const queue = yield* Queue.unbounded<Item<A>, Cause.Done>()
  const failed = yield* Deferred.make<never, OutputError>()
  const textEncoder = new TextEncoder()
  let written = 0
  let isEnding = false
  let goOn: (() => void) | undefined

  // In real time whatever the clock of the run: it is about this machine's work
  const gather = Effect.callback<void>((resume) => {
    if (isEnding) return resume(Effect.void)
    const timer = setTimeout(() => resume(Effect.void), GATHER_MILLIS)
    goOn = () => resume(Effect.void)
    return Effect.sync(() => clearTimeout(timer))
  })
  const end = Effect.suspend(() => {
    isEnding = true
    goOn?.()
    return Queue.end(queue)
  })

  const encode = (items: ReadonlyArray<Item<A>>): ReadonlyArray<Uint8Array> => {
    const parts: globalThis.Array<Uint8Array> = []
    let text = ""
    const endText = (): void => {
      if (text !== "") parts.push(textEncoder.encode(text))
      text = ""
    }
    for (const item of items) {
      if ("value" in item) text += `${line(item.value)}\n`
      else {
        endText()
        parts.push(item.bytes)
      }
    }
    endText()
    return parts
  }
  const writeSome = (items: ReadonlyArray<Item<A>>) =>
    Effect.suspend(() => Effect.forEach(encode(items), (part) => file.writeAll(part), { discard: true })).pipe(
      toOutputError,
      Effect.tap(() =>
        Effect.sync(() => {
          for (const item of items) written += item.count
        })
      )
    )
  const writeBatch = Effect.flatMap(Queue.takeBetween(queue, 1, MAX_BATCH), (items) =>
    Effect.andThen(writeSome(items), items.length < MAX_BATCH ? gather : Effect.void)
  )
  const writing = yield* writeBatch.pipe(
    Effect.forever,
    Effect.catchTags({
      Done: () => Effect.void,
      OutputError: (error) => Effect.andThen(Deferred.fail(failed, error), Queue.shutdown(queue))
    }),
    Effect.forkScoped
  )

  // Runs before the fiber is stopped and the file closed, for finalizers run in reverse order
  yield* Effect.addFinalizer(() =>
    end.pipe(Effect.andThen(Fiber.await(writing)), Effect.andThen(Effect.ignore(file.sync)))
  )

  return {
    write: (items) => Effect.forEach(Array.chunksOf(items, MAX_BATCH), writeSome, { discard: true }),
    append: (value) => {
      Queue.offerUnsafe(queue, { value, count: 1 })
    },
    appendLines: (lines) => {
      Queue.offerUnsafe(queue, lines)
    },
    failure: Deferred.await(failed),
    close: end.pipe(
      Effect.andThen(Fiber.join(writing)),
      Effect.andThen(Effect.suspend(() => (Deferred.isDoneUnsafe(failed) ? Deferred.await(failed) : Effect.void))),
      Effect.andThen(file.sync.pipe(toOutputError)),
      Effect.map(() => written)
    ),
    written: () => written,
    bytes: readHandle(file)
  }
})

/** Writes the line of every request: `valueOf` those of this thread, and the lines that others have packed. */
export const lineSink = <A>(
  { write }: LineWriter<A>,
  valueOf: (request: EndedRequest) => A,
  linesOf: (ended: EndedElsewhere) => Packed | null
): Sink.Sink<void, Ended, never, OutputError> => {
  const itemsOf = (ended: Ended): ReadonlyArray<Item<A>> => {
    if (ended._tag === "Here") return ended.requests.map((request) => ({ value: valueOf(request), count: 1 as const }))
    const lines = linesOf(ended)
    return lines === null ? [] : [lines]
  }
  return Sink.forEachArray((batches: ReadonlyArray<Ended>) => write(batches.flatMap(itemsOf)))
}

const readHandle = (file: FileSystem.File) =>
  Stream.paginate(0n, (position) =>
    Effect.map(file.readAlloc(READ_BYTES, { position }), (read) =>
      Option.match(read, {
        onNone: () => [[], Option.none<bigint>()] as const,
        onSome: (bytes) => [[bytes], Option.some(position + BigInt(bytes.length))] as const
      })
    )
  )
