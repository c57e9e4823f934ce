/**
 * Results cannot be written.
 *
 * @since 0.1.0
 */
import * as CliError from "effect/cli/CliError"
import type { PlatformError } from "effect/PlatformError"
import * as Runtime from "effect/Runtime"
import * as Schema from "effect/Schema"

/**
 * Results cannot be written to `path`. `problem` says what is wrong, `advice` what to do about it. The program ends with
 * exit code 3.
 *
 * @category errors
 * @since 0.1.0
 */
export class OutputError extends Schema.TaggedError<OutputError>("llmperf/output/OutputError")("OutputError", {
  path: Schema.String,
  problem: Schema.String,
  advice: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 3

  override get message(): string {
    return `Cannot write results to ${this.path}: ${this.problem}. ${this.advice}`
  }

  override get [CliError.userMessage](): string {
    return this.message
  }
}

/**
 * Says of a failure of the file system what it means for results at `path`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromPlatformError =
  (path: string) =>
  (error: PlatformError): OutputError => {
    const [problem, advice] = explain(error)
    return new OutputError({ path, problem, advice })
  }

const CHOOSE = "Choose another folder with --results-dir."

const explain = (error: PlatformError): readonly [problem: string, advice: string] => {
  const code = systemCode(error)
  switch (code) {
    case "ENOSPC":
    case "EDQUOT":
      return ["no space is left on the disk", "Free some space, or choose a folder on another disk with --results-dir."]
    case "EROFS":
      return ["the file system is read-only", CHOOSE]
    case "ENOTDIR":
      return ["a file is in the way of a folder", `Move that file away. Or: ${CHOOSE}`]
    case "EISDIR":
      return ["a folder has the name of the file", `Move that folder away. Or: ${CHOOSE}`]
    case "ENAMETOOLONG":
      return ["the name is too long", CHOOSE]
    case "EMFILE":
    case "ENFILE":
      return [
        "no more files may be open, connections included",
        "Raise the limit (ulimit -n), or have fewer requests in flight."
      ]
  }
  switch (error.reason._tag) {
    case "PermissionDenied":
      return ["permission denied", `Change the permissions of the folder. Or: ${CHOOSE}`]
    case "NotFound":
      return ["the folder does not exist and cannot be made", CHOOSE]
    case "AlreadyExists":
      return ["it exists already", `Is another run writing there? ${CHOOSE}`]
    default:
      return [code ?? error.reason.message, CHOOSE]
  }
}

/** The name the operating system gives the failure, such as `ENOSPC`. */
const systemCode = (error: PlatformError): string | null => {
  const cause = error.reason.cause
  return typeof cause === "object" && cause !== null && "code" in cause && typeof cause.code === "string"
    ? cause.code
    : null
}
