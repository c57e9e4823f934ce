import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"
import packageJson from "../../package.json" with { type: "json" }
import { Variables } from "./Arguments.ts"
import * as Cli from "./Cli.ts"
import { ExitCode } from "./ExitCode.ts"
import { Interruption } from "./Interruption.ts"

/** Who waits for the first signal instead of being interrupted by it. */
const waiting = new Set<() => void>()

const firstSignal = Effect.callback<void>((resume) => {
  const onSignal = (): void => resume(Effect.void)
  waiting.add(onSignal)
  return Effect.sync(() => waiting.delete(onSignal))
})

const runMain = Runtime.makeRunMain(({ fiber, teardown }) => {
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
  process.on("SIGINT", onSignal)
  process.on("SIGTERM", onSignal)
  fiber.addObserver((exit) => {
    process.off("SIGINT", onSignal)
    process.off("SIGTERM", onSignal)
    teardown(exit, (code) => {
      process.exitCode = code
      if (interrupted) process.exit(code)
    })
  })
})

const variables = (): { readonly [name: string]: string } =>
  Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) =>
      name.startsWith("LLMPERF_") && value !== undefined ? [[name, value]] : []
    )
  )

/** The edge of the program: arguments, signals, exit status. */
export const main = (): void =>
  Cli.run(process.argv.slice(2), packageJson.version).pipe(
    Effect.provideService(Interruption, firstSignal),
    Effect.provideService(Variables, variables()),
    Effect.provide(NodeServices.layer),
    (program) => runMain(program, { disableErrorReporting: false })
  )
