import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as Runtime from "effect/Runtime"
import packageJson from "../../package.json" with { type: "json" }
import { Variables } from "./Arguments.ts"
import * as Cli from "./Cli.ts"
import { type CommandError } from "./CommandError.ts"
import { ExitCode } from "./ExitCode.ts"
import { problemOf } from "./internal/standardOutput.ts"
import { Interruption } from "./Interruption.ts"

/** Who waits for the first signal instead of being interrupted by it. */
const waiting = new Set<() => void>()

const firstSignal = Effect.callback<void>((resume) => {
  const onSignal = (): void => resume(Effect.void)
  waiting.add(onSignal)
  return Effect.sync(() => waiting.delete(onSignal))
})

/** Ctrl-C, what a service manager sends, and what a terminal sends that is closed. */
const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const

/**
 * Follows what becomes of standard output. Who reads it may have enough, or be gone, which is no failure; anything else is one
 * although the program has no part in it, and may show when the program has ended. Nobody can be told that standard error is gone.
 */
const watchOutputs = (): { readonly exitCode: (code: number) => number } => {
  let problem: CommandError | null = null
  let hasEnded = false
  const exitCode = (code: number): number => {
    if (problem === null || code === ExitCode.output) return code
    process.stderr.write(`${problem.description}\n`)
    return problem.exitCode
  }
  process.stderr.on("error", () => {})
  process.stdout.on("error", (error) => {
    if (problem !== null) return
    problem = problemOf(error, process.stdout.isTTY)
    if (hasEnded) process.exitCode = exitCode(Number(process.exitCode ?? ExitCode.ok))
  })
  return {
    exitCode: (code) => {
      hasEnded = true
      return exitCode(code)
    }
  }
}

const runMain = Runtime.makeRunMain(({ fiber, teardown }) => {
  const outputs = watchOutputs()
  let interrupted = false
  const onSignal = (): void => {
    if (waiting.size > 0) {
      for (const resume of waiting) resume()
      waiting.clear()
    } else if (interrupted) process.exit(ExitCode.interrupted)
    else {
      interrupted = true
      fiber.interruptUnsafe(fiber.id)
    }
  }
  for (const signal of signals) process.on(signal, onSignal)
  fiber.addObserver((exit) => {
    for (const signal of signals) process.off(signal, onSignal)
    teardown(exit, (code) => {
      process.exitCode = outputs.exitCode(code)
      if (interrupted) process.exit()
    })
  })
})

const variables = (): { readonly [name: string]: string } =>
  Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) =>
      name.startsWith("LLMPERF_") && value !== undefined ? [[name, value]] : []
    )
  )

/** Tells on standard error of what nobody foresaw; its user has been told of anything else. */
const reportUnforeseen = <E>(cause: Cause.Cause<E>) =>
  Cause.hasInterruptsOnly(cause) || !Runtime.getErrorReported(Cause.squash(cause))
    ? Effect.void
    : Effect.provideService(Effect.logError(cause), Logger.LogToStderr, true)

/** The edge of the program: arguments, signals, standard output, exit status. */
export const main = (): void =>
  Cli.run(process.argv.slice(2), packageJson.version).pipe(
    Effect.provideService(Interruption, firstSignal),
    Effect.provideService(Variables, variables()),
    Effect.provide(NodeServices.layer),
    Effect.tapCause(reportUnforeseen),
    (program) => runMain(program, { disableErrorReporting: true })
  )
