/**
 * What the exit status of the program means; `docs/exit-codes.md` says it for each command.
 *
 * | code | meaning |
 * | --- | --- |
 * | 0 | all is well |
 * | 1 | the run failed: every request did, `--abort-on-errors` ended it, more of the answers are wrong than `--max-mismatch-rate` allows, `--when-full abort` ended it, an agent or worker was lost, a `--threshold` was missed or a `--fail-if` holds, either cannot be judged without `--allow-unknown`, or the verdict is INVALID with `--strict` |
 * | 2 | wrong use: flags, files, credentials; nothing was sent |
 * | 3 | results cannot be written |
 * | 130 | interrupted; what had ended was saved |
 *
 * @since 0.1.0
 */
import * as Runtime from "effect/Runtime"
import * as Schema from "effect/Schema"

/**
 * @category constants
 * @since 0.1.0
 */
export const ExitCode = { ok: 0, failed: 1, usage: 2, output: 3, interrupted: 130 } as const

/**
 * Ends the program with an exit code and without a word: its user has been told already.
 *
 * @category errors
 * @since 0.1.0
 */
export class Ended extends Schema.TaggedError<Ended>("llmperf/cli/Ended")("Ended", { exitCode: Schema.Int }) {
  override readonly [Runtime.errorReported] = false

  override get [Runtime.errorExitCode](): number {
    return this.exitCode
  }
}
