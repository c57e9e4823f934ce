import { NodeServices } from "@effect/platform-node"
import * as Cause from "effect/Cause"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Runtime from "effect/Runtime"
import * as Sink from "effect/Sink"
import * as Stdio from "effect/Stdio"
import { Command } from "effect/cli"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Cli from "../../src/cli/Cli.ts"
import * as flags from "../../src/cli/flags.ts"
import { Interruption } from "../../src/cli/Interruption.ts"
import * as ConfigFile from "../../src/cli/internal/configFile.ts"

/** `unreported`: what the edge of the program would still log, such as a failure that nobody foresaw. */
export interface Outcome {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
  readonly unreported: string
}

/** `before`: what stands before the command. */
export interface Surroundings {
  readonly before?: ReadonlyArray<string> | undefined
  readonly env?: { readonly [name: string]: string } | undefined
  readonly interruption?: Effect.Effect<void> | undefined
}

const lineOf = (parts: ReadonlyArray<unknown>): string => `${parts.map(String).join(" ")}\n`

const keep = (add: (text: string) => void) =>
  Sink.forEach((text: string | Uint8Array) =>
    Effect.sync(() => add(typeof text === "string" ? text : new TextDecoder().decode(text)))
  )

/** Runs the command line in this process, with only the given environment variables and no terminal. */
export const llmperf = Effect.fnUntraced(function* (args: ReadonlyArray<string>, around: Surroundings = {}) {
  let stdout = ""
  let stderr = ""
  const console: Console.Console = {
    ...globalThis.console,
    log: (...parts: ReadonlyArray<unknown>) => {
      stdout += lineOf(parts)
    },
    error: (...parts: ReadonlyArray<unknown>) => {
      stderr += lineOf(parts)
    }
  }
  const stdio = Stdio.layerTest({
    stdout: () => keep((text) => (stdout += text)),
    stderr: () => keep((text) => (stderr += text))
  })
  let exitCode: number | undefined
  const exit = yield* Cli.run(args, "1.2.3").pipe(
    Effect.provideService(Console.Console, console),
    Effect.provideService(Interruption, around.interruption ?? Effect.never),
    Effect.provide(
      Layer.mergeAll(
        Layer.merge(NodeServices.layer, stdio),
        ConfigProvider.layer(ConfigProvider.fromEnv({ env: { ...around.env } }))
      )
    ),
    Effect.exit
  )
  Runtime.defaultTeardown(exit, (code) => {
    exitCode = code
  })
  const unreported =
    exit._tag === "Failure" &&
    !Cause.hasInterruptsOnly(exit.cause) &&
    Runtime.getErrorReported(Cause.squash(exit.cause))
      ? Cause.pretty(exit.cause)
      : ""
  return { exitCode: exitCode ?? -1, stdout, stderr, unreported } satisfies Outcome
})

/** What `load-test` is given to do for those arguments, without doing it. The model is `m` unless it is said. */
export const parse = Effect.fnUntraced(function* (given: ReadonlyArray<string>, around: Surroundings = {}) {
  const seen: Array<Command.Command.Config.Infer<typeof flags.loadTest>> = []
  const loadTest = Command.make("load-test", flags.loadTest, (input) => Effect.sync(() => seen.push(input)))
  const root = Command.make("llmperf").pipe(Command.withSubcommands([loadTest]))
  yield* Effect.flatMap(ConfigFile.expand([...(around.before ?? []), "load-test", ...given]), ({ args }) =>
    Command.runWith(root, { version: "1.2.3", renderErrors: false })(args)
  ).pipe(
    Effect.provideService(Console.Console, { ...globalThis.console, log: () => {}, error: () => {} }),
    Effect.provide(
      Layer.mergeAll(
        NodeServices.layer,
        ConfigProvider.layer(ConfigProvider.fromEnv({ env: { LLMPERF_MODEL: "m", ...around.env } }))
      )
    )
  )
  const [input] = seen
  if (input === undefined) return yield* Effect.die(new Error("the command did not run"))
  return input
})

type LoadTestInput = Effect.Success<ReturnType<typeof parse>>

/** The values of the flags, whether they were given or are the defaults. */
export const valuesOf = (input: LoadTestInput) => ({
  ...input,
  meanInputTokens: input.meanInputTokens.value,
  stddevInputTokens: input.stddevInputTokens.value,
  meanOutputTokens: input.meanOutputTokens.value,
  stddevOutputTokens: input.stddevOutputTokens.value,
  numConcurrentRequests: input.numConcurrentRequests.value,
  maxNumCompletedRequests: input.maxNumCompletedRequests.value,
  timeout: input.timeout.value,
  endpoint: input.endpoint.value,
  arrival: input.arrival.value,
  whenFull: input.whenFull.value
})

/** A temporary folder, removed with the scope. */
export const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "llmperf-cli-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

/** A file in a temporary folder. */
export const file = (name: string, text: string) =>
  Effect.map(folder, (path) => {
    const full = join(path, name)
    writeFileSync(full, text)
    return full
  })
