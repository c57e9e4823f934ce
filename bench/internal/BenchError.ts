import { CliError } from "effect/cli"
import * as Schema from "effect/Schema"

/** A measurement that could not be made; a bar that is missed is none. */
export class BenchError extends Schema.TaggedError<BenchError>("llmperf/bench/BenchError")("BenchError", {
  description: Schema.String
}) {
  override get message(): string {
    return this.description
  }
  override get [CliError.userMessage](): string {
    return this.description
  }
}

/** Turns any failure into a `BenchError` that begins with what was being done. */
export const during =
  (doing: string) =>
  (error: { readonly message: string }): BenchError =>
    new BenchError({ description: `${doing}: ${error.message}` })
