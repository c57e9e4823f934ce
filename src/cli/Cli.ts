/**
 * The command line: its commands, and how it speaks.
 *
 * Standard output is data: what was asked for, and `--help` and `--version`. Everything else goes to standard error.
 *
 * @since 0.1.0
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import type * as HelpDoc from "effect/cli/HelpDoc"
import { CliConfig, CliError, CliOutput, Command, GlobalFlag } from "effect/cli"
import { Arguments } from "./Arguments.ts"
import { agent } from "./commands/agent.ts"
import { analyze } from "./commands/analyze.ts"
import { calibrate } from "./commands/calibrate.ts"
import { compare } from "./commands/compare.ts"
import { correctness } from "./commands/correctness.ts"
import { exportRun } from "./commands/export.ts"
import { fleet } from "./commands/fleet.ts"
import { loadTest } from "./commands/loadTest.ts"
import { plot } from "./commands/plot.ts"
import { probe } from "./commands/probe.ts"
import { recover } from "./commands/recover.ts"
import { report } from "./commands/report.ts"
import { schedule } from "./commands/schedule.ts"
import { serve } from "./commands/serve.ts"
import { simulate } from "./commands/simulate.ts"
import { Ended, ExitCode } from "./ExitCode.ts"
import * as ConfigFile from "./internal/configFile.ts"
import * as Help from "./internal/help.ts"
import { unknownFlag } from "./internal/unknownFlag.ts"

const root = Command.make("llmperf").pipe(
  Command.withDescription("Load tests for LLM endpoints whose numbers can be trusted."),
  Command.withSubcommands([
    loadTest,
    correctness,
    compare,
    analyze,
    report,
    plot,
    exportRun,
    probe,
    recover,
    schedule,
    serve,
    simulate,
    calibrate,
    agent,
    fleet
  ])
)

const plain = CliOutput.defaultFormatter({ colors: false })

/** That a flag was given more often than it may be, which the parser tells as a value. */
const givenTwice = ({ expected, option, value }: CliError.InvalidValue): string | null => {
  const count = /^(\d+) occurrences$/.exec(value)?.[1]
  return count !== undefined && expected === "at most 1 value"
    ? `--${option} is given ${count} times: give it once.`
    : null
}

/** Words that no flag takes are often the rest of a value without quotes, such as a key in a header: only names are repeated. */
const told = (error: CliError.CliError, help: HelpDoc.HelpDoc): string => {
  if (error._tag === "UnrecognizedOption") return unknownFlag(error, help)
  if (error._tag === "InvalidValue") return givenTwice(error) ?? plain.formatCliError(error)
  if (error._tag !== "UnexpectedArgument") return plain.formatCliError(error)
  const words = error.arguments.map((word) => (/^[a-z][a-z-]{0,15}$/.test(word) ? word : "…"))
  return `No flag takes: ${words.join(" ")}. A value with spaces needs quotes around it.`
}

/** Says what is wrong and how to find out more, instead of printing the whole help before the error. */
const presenter: CliOutput.Presenter = {
  present: (event) =>
    event._tag === "InvalidInvocation"
      ? Effect.gen(function* () {
          for (const error of event.errors) yield* Console.error(told(error, event.helpDoc))
          yield* Console.error(`Try: ${event.commandPath.join(" ")} --help`)
        })
      : event._tag === "Version"
        ? Console.log(`${event.name} ${event.version}`)
        : CliOutput.defaultPresenter.present(event)
}

const layer = Layer.mergeAll(
  CliOutput.layer({ ...plain, formatHelpDoc: Help.format, formatError: plain.formatCliError }),
  CliOutput.layerPresenter(presenter),
  CliConfig.layer({ builtIns: [GlobalFlag.Help, GlobalFlag.Version, GlobalFlag.Completions, GlobalFlag.LogLevel] }),
  Layer.succeed(Logger.LogToStderr, true)
)

/**
 * Runs the command line. A failure has been told to the user when it comes out of here; it carries the exit
 * code.
 *
 * @category running
 * @since 0.1.0
 */
export const run = (args: ReadonlyArray<string>, version: string) =>
  ConfigFile.expand(args).pipe(
    Effect.tapError((error) => Console.error(error.message)),
    Effect.flatMap(({ args, file }) =>
      Command.runWith(root, { version })(args).pipe(
        Effect.provideService(Arguments, args),
        Effect.tapError((error) =>
          file !== null && CliError.isCliError(error)
            ? Console.error(`The keys of ${file} were taken as flags.`)
            : Effect.void
        )
      )
    ),
    Effect.catchIf(CliError.isCliError, (error) =>
      error._tag === "ShowHelp" && error.errors.length === 0
        ? Effect.void
        : Effect.fail(new Ended({ exitCode: ExitCode.usage }))
    ),
    Effect.provide(layer)
  )
