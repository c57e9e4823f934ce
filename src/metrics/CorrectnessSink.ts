/**
 * Judges answers of a correctness test, and folds what came of them.
 *
 * @since 0.2.0
 */
import type { CorrectnessRecord, CorrectnessSummary, Mismatch, Verdict } from "../domain/CorrectnessResults.ts"

/**
 * The numbers in a text, as decimal digits: commas between two digits are taken away, and what remains in one piece is a
 * number. No sign and no decimal point belongs to one: `-1,024.50` gives `1024` and `50`.
 *
 * @category judging
 * @since 0.2.0
 */
export const numbersIn = (text: string): ReadonlyArray<string> =>
  text.replaceAll(/(?<=[0-9]),(?=[0-9])/g, "").match(/[0-9]+/g) ?? []

/**
 * Whether a text contains the number. The digits must be just those: `02345` is not 2345. It may be one number of several.
 *
 * @category judging
 * @since 0.2.0
 */
export const judge = (text: string, expected: number): Exclude<Verdict, "error"> => {
  const numbers = numbersIn(text)
  if (numbers.includes(String(expected))) return "correct"
  return numbers.length === 0 ? "no_number" : "mismatch"
}

/** So many are kept to be shown; all of them are in the records. */
const KEPT_MISMATCHES = 100

const share = (part: number, whole: number): number | null => (whole === 0 ? null : part / whole)

/**
 * A summary in the making. It counts, and keeps the first hundred answers that are not right.
 *
 * @category models
 * @since 0.2.0
 */
export class CorrectnessSink {
  readonly #counts: { [verdict in Verdict]: number } = { correct: 0, mismatch: 0, no_number: 0, error: 0 }
  readonly #mismatches: Array<Mismatch> = []

  /** Adds one finished request. */
  add(record: Pick<CorrectnessRecord, "request_id" | "expected" | "verdict" | "generated_text">): void {
    const { expected, generated_text: text, request_id: requestId, verdict } = record
    this.#counts[verdict]++
    if (verdict === "correct" || verdict === "error" || this.#mismatches.length >= KEPT_MISMATCHES) return
    this.#mismatches.push({ requestId, expected, text })
  }

  /** The first hundred answers that are not right, in the order in which they came. */
  get mismatches(): ReadonlyArray<Mismatch> {
    return this.#mismatches
  }

  /** The summary of all requests added so far. */
  summary(): CorrectnessSummary {
    const { correct, error, mismatch, no_number } = this.#counts
    const mismatched = mismatch + no_number
    const answered = correct + mismatched
    const completed = answered + error
    return {
      number_errors: error,
      num_mismatched_requests: mismatched,
      error_rate: share(error, completed),
      mismatch_rate: share(mismatched, completed),
      num_completed_requests: completed,
      num_non_errored_requests: answered,
      num_correct_requests: correct,
      num_no_number_requests: no_number,
      answer_mismatch_rate: share(mismatched, answered)
    }
  }
}
