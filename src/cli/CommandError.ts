/**
 * An error that ends the program with a message for its user and an exit code.
 *
 * @since 0.1.0
 */
import { CliError } from "effect/cli"
import * as Runtime from "effect/Runtime"
import * as Schema from "effect/Schema"
import { ExitCode } from "./ExitCode.ts"

/**
 * `description` is printed on standard error.
 *
 * @category errors
 * @since 0.1.0
 */
export class CommandError extends Schema.TaggedError<CommandError>("llmperf/cli/CommandError")("CommandError", {
  description: Schema.String,
  exitCode: Schema.Int
}) {
  override get message(): string {
    return this.description
  }
  override get [CliError.userMessage](): string {
    return this.description
  }
  /** Its message has been printed when it ends the program. */
  override readonly [Runtime.errorReported] = false

  override get [Runtime.errorExitCode](): number {
    return this.exitCode
  }
}

/**
 * Wrong use, exit code 2.
 *
 * @category constructors
 * @since 0.1.0
 */
export const usage = (description: string): CommandError => new CommandError({ description, exitCode: ExitCode.usage })
