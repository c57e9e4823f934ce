/**
 * Where a run goes: a file, a collector, a database. A run is a stream of requests that have ended, and every output of it is a
 * `Sink` over that stream. An output of one's own is one value: see `examples/`.
 *
 * @since 0.2.0
 */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type * as Path from "effect/Path"
import type * as Scope from "effect/Scope"
import * as Sink from "effect/Sink"
import { type Summary } from "../domain/Summary.ts"
import { type Ended } from "../metrics/Ended.ts"
import { type HealthSummary } from "../metrics/HealthSummary.ts"
import { type RunStart } from "../metrics/RequestSink.ts"
import type * as OtlpSpans from "./OtlpSpans.ts"
import { type OutputError } from "./OutputError.ts"
import { type Fields } from "./ResultFiles.ts"

/**
 * What is known of a run before its clock starts.
 *
 * - `planned`: how many requests there will be
 * - `openLoop`: whether requests have due times
 * - `directory`: the folder that its results are saved in, an absolute path; `null` when they are not saved
 *
 * @category models
 * @since 0.2.0
 */
export interface RunInfo {
  readonly runId: string
  readonly planned: number
  readonly openLoop: boolean
  readonly directory: string | null
}

/**
 * What is known of a run when all its requests have ended.
 *
 * - `wallSeconds`: from its start until its last request had ended
 * - `health`: how the client was
 * - `agentSpans`: what became of the spans that other threads and machines have sent, `null` when they sent none
 *
 * @category models
 * @since 0.2.0
 */
export interface RunEnd {
  readonly start: RunStart
  readonly wallSeconds: number
  readonly summary: Summary
  readonly openLoop: boolean
  readonly health: HealthSummary
  readonly agentSpans: OtlpSpans.Report | null
}

/**
 * - `sink`: is given every batch of requests that ended, each once and in order, also those of a run that is interrupted. The next
 *   batch waits until it has taken the one before: it should be quick. When it fails, the run is stopped and fails with the same
 *   error; the other outputs still get all that ended
 * - `files`: the files that it writes, absolute paths
 * - `fields`: asked once after the last batch: what the summary says of this output, keys in the order of the file. Nested objects are
 *   flattened with `_`
 *
 * @category models
 * @since 0.2.0
 */
export interface OpenOutput {
  readonly sink: Sink.Sink<void, Ended, never, OutputError>
  readonly files: ReadonlyArray<string>
  readonly fields: (run: RunEnd) => Effect.Effect<Fields, OutputError>
}

/**
 * - `open`: called once, before the clock of the run starts. What it acquires is released when the run is over and its results are
 *   written, in reverse order
 *
 * @category models
 * @since 0.2.0
 */
export interface Output {
  readonly name: string
  readonly open: (
    run: RunInfo
  ) => Effect.Effect<OpenOutput, OutputError, FileSystem.FileSystem | Path.Path | Scope.Scope>
}

/**
 * An output that needs no more than to be told: `add` takes every batch and must not wait; `fields` says what the summary says of
 * it. Both do nothing when left out.
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = (
  name: string,
  { add, fields }: { readonly add?: (ended: Ended) => void; readonly fields?: OpenOutput["fields"] }
): Output => ({
  name,
  open: () =>
    Effect.succeed({
      sink:
        add === undefined
          ? Sink.drain
          : Sink.forEachArray((batches: ReadonlyArray<Ended>) => Effect.sync(() => batches.forEach(add))),
      files: [],
      fields: fields ?? (() => Effect.succeed({}))
    })
})
