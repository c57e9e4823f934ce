import { type OutputError } from "../../output/OutputError.ts"
import { CommandError } from "../CommandError.ts"
import { ExitCode } from "../ExitCode.ts"

/** The file was named with `--out`: what is advised for a results folder does not help. */
export const cannotWrite = ({ path, problem }: OutputError): CommandError =>
  new CommandError({
    description: `Cannot write ${path}: ${problem}. Choose another file with --out.`,
    exitCode: ExitCode.output
  })
