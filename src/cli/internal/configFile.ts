import * as Yaml from "effect/encoding/Yaml"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as InputFile from "../../output/InputFile.ts"
import { type CommandError, usage } from "../CommandError.ts"
import { tooLarge } from "./smallValue.ts"

const MOST_BYTES = 1_000_000

const aliases: { readonly [alias: string]: string } = { "-H": "header" }

const nameOf = (token: string): string | undefined =>
  aliases[token.slice(0, 2)] ?? /^--(?:no-)?([a-z][a-z-]*)(?:=|$)/.exec(token)?.[1]

const pathIn = (args: ReadonlyArray<string>): string | undefined => {
  const at = args.findIndex((token) => token === "--config" || token.startsWith("--config="))
  const token = args[at]
  return token === undefined ? undefined : token === "--config" ? args[at + 1] : token.slice("--config=".length)
}

const variable = Config.option(Config.String("LLMPERF_CONFIG"))

const isObject = (value: unknown): value is { readonly [key: string]: unknown } =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** A key of the file as the flags it stands for. */
const flagsOf = (name: string, value: unknown): ReadonlyArray<string> => {
  if (value === null || value === undefined) return []
  if (typeof value === "boolean") return [value ? `--${name}` : `--no-${name}`]
  if (Array.isArray(value)) return value.flatMap((item: unknown) => flagsOf(name, item))
  if (!isObject(value)) return [`--${name}=${String(value)}`]
  if (name === "metadata") {
    return Object.entries(value).map(([key, item]) => `--${name}=${key}=${String(item).replaceAll(",", "\\,")}`)
  }
  if (name === "header") return Object.entries(value).map(([key, item]) => `--${name}=${key}: ${String(item)}`)
  return [`--${name}=${JSON.stringify(value)}`]
}

/** `no-warmup: true` is `warmup: false`. */
const entryOf = ([key, value]: readonly [string, unknown]): readonly [name: string, value: unknown] => {
  const name = key.replaceAll("_", "-")
  return name.startsWith("no-") && typeof value === "boolean" ? [name.slice("no-".length), !value] : [name, value]
}

/** Who asks for help or for the version gets it, whatever is in the file. */
const asksOnly = (args: ReadonlyArray<string>): boolean =>
  args.some((token) => ["--help", "-h", "--version", "-v"].includes(token))

/** The commands that take their flags from a file too. */
const commands: ReadonlySet<string> = new Set(["load-test", "correctness", "probe", "simulate"])

/** The arguments to go by, and the file that some of them come from. */
export interface Expanded {
  readonly args: ReadonlyArray<string>
  readonly file: string | null
}

/**
 * Puts the flags of the file named by `--config` before those of the command line, leaving out what the command line gives
 * itself. Fails when the file cannot be read or is not a mapping of flags.
 */
export const expand = Effect.fnUntraced(function* (
  args: ReadonlyArray<string>
): Effect.fn.Return<Expanded, CommandError, FileSystem.FileSystem> {
  const path = pathIn(args) ?? Option.getOrUndefined(yield* Effect.orElseSucceed(variable, () => Option.none<string>()))
  const at = args.findIndex((token) => commands.has(token))
  if (path === undefined || at < 0 || asksOnly(args)) return { args, file: null }
  const { text } = yield* InputFile.read(path, { mostBytes: MOST_BYTES, pipes: true }).pipe(
    Effect.mapError((error) => usage(`The config file ${error.message}`))
  )
  const parsed = yield* Effect.try({
    // A file without any key is as good as an empty mapping.
    try: (): unknown => Yaml.parse(text) ?? {},
    catch: (error) =>
      error instanceof RangeError
        ? usage(`The config file ${path} cannot be used: it is nested too deep`)
        : usage(`The config file ${path} is not YAML: ${error instanceof Error ? error.message : String(error)}`)
  })
  const problem = tooLarge(parsed)
  if (problem !== null) return yield* usage(`The config file ${path} cannot be used: ${problem}`)
  if (!isObject(parsed)) {
    return yield* usage(`The config file ${path} must hold flags as keys, such as "num-concurrent-requests: 20"`)
  }
  const given = new Set(args.flatMap((token) => nameOf(token) ?? []))
  const fromFile = Object.entries(parsed)
    .map(entryOf)
    .flatMap(([name, value]) => (given.has(name) || name === "config" ? [] : flagsOf(name, value)))
  return { args: args.toSpliced(at + 1, 0, ...fromFile), file: path }
})
