import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { CorrectnessRecord, type CorrectnessSummary, type Mismatch } from "../../domain/CorrectnessResults.ts"
import { CorrectnessSink } from "../../metrics/CorrectnessSink.ts"
import * as CorrectnessFiles from "../../output/CorrectnessFiles.ts"
import * as Ndjson from "../../output/Ndjson.ts"
import type * as ResultFiles from "../../output/ResultFiles.ts"
import { type RunManifest } from "../../output/RunManifest.ts"
import * as CorrectnessWorkload from "../../workload/CorrectnessWorkload.ts"

/**
 * What the records of a correctness test say besides those of any run: its results, and how a row stands among the
 * individual responses.
 */
export interface RecoveredAnswers {
  readonly summary: CorrectnessSummary
  readonly mismatches: ReadonlyArray<Mismatch>
  readonly response: (row: unknown) => unknown
}

const { expected, generated_text, request_id, verdict } = CorrectnessRecord.fields
const decodeRow = Schema.decodeUnknownEffect(Schema.Struct({ request_id, expected, verdict, generated_text }))

const decodeAsked = Schema.decodeUnknownEffect(
  Schema.Struct({
    model: Schema.String,
    llm_api: Schema.String,
    additional_sampling_params: Schema.Record(Schema.String, Schema.Unknown)
  })
)

/** `null` for a run of another kind. */
export const recoveredAnswers = Effect.fnUntraced(function* (records: string, manifest: RunManifest) {
  if (manifest.details["test"] !== CorrectnessFiles.TEST) return null
  const unreadable = (line: number | null) => (error: { readonly message: string }) =>
    new Ndjson.RecordsError({ path: records, line, problem: error.message })
  const asked = yield* Effect.mapError(decodeAsked(manifest.parameters), unreadable(null))
  const sink = new CorrectnessSink()
  yield* Ndjson.readJson(records).pipe(
    Stream.zipWithIndex,
    Stream.runForEach(([row, index]) =>
      Effect.map(Effect.mapError(decodeRow(row), unreadable(index + 1)), (record) => sink.add(record))
    )
  )
  const answers: RecoveredAnswers = {
    summary: sink.summary(),
    mismatches: sink.mismatches,
    response: CorrectnessFiles.response(
      {
        model: asked.model,
        llmApi: asked.llm_api,
        additionalSamplingParams: asked.additional_sampling_params
      },
      CorrectnessWorkload.prompt
    )
  }
  return answers
})

export const resultsOf = (answers: RecoveredAnswers | null): ResultFiles.Fields =>
  answers === null ? {} : CorrectnessFiles.results(answers.summary)

export const detailsOf = (answers: RecoveredAnswers | null): ResultFiles.Fields =>
  answers === null ? {} : CorrectnessFiles.details(answers.summary)
