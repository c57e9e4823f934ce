import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import { pipe } from "effect/Function"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { CliError, Flag } from "effect/cli"
import { parseSeconds } from "./durationText.ts"

/** How a value is read from text, and what to say when it cannot be. */
export interface Reader<A> {
  readonly read: (text: string) => Option.Option<A>
  readonly expected: string
  /** How the help names the value, such as `tokens` or `duration`. */
  readonly metavar: string
}

const fromSchema = <A>(schema: Schema.Codec<A, string>, expected: string, metavar: string): Reader<A> => ({
  read: Schema.decodeUnknownOption(schema),
  expected,
  metavar
})

const integerFrom = (minimum: number) =>
  Schema.FiniteFromString.check(Schema.isInt(), Schema.isGreaterThanOrEqualTo(minimum))

export const text = (metavar: string): Reader<string> =>
  fromSchema(Schema.NonEmptyString, "some text that is not empty", metavar)

export const positiveInt = (unit: string): Reader<number> => fromSchema(integerFrom(1), "a whole number above 0", unit)

export const naturalInt = (unit: string): Reader<number> =>
  fromSchema(integerFrom(0), "a whole number, 0 or more", unit)

export const nonNegative = (unit: string): Reader<number> =>
  fromSchema(Schema.FiniteFromString.check(Schema.isGreaterThanOrEqualTo(0)), "a number, 0 or more", unit)

export const duration: Reader<number> = {
  read: (input) => Option.fromUndefinedOr(parseSeconds(input)),
  expected: 'a duration: 30s, 1m30s, 500ms, "2 seconds", or a number of seconds',
  metavar: "duration"
}

export const positiveDuration: Reader<number> = {
  ...duration,
  read: (input) => Option.filter(duration.read(input), (seconds) => seconds > 0)
}

/** A duration, or `none` for no limit. */
export const durationOrNone: Reader<number | null> = {
  read: (input) => (input.trim().toLowerCase() === "none" ? Option.some(null) : positiveDuration.read(input)),
  expected: `${duration.expected}; or none`,
  metavar: "duration"
}

export const jsonObject: Reader<{ readonly [key: string]: unknown }> = fromSchema(
  Schema.fromJsonString(Schema.Record(Schema.String, Schema.Unknown)),
  "a JSON object, such as '{\"temperature\": 0}'",
  "json"
)

export const oneOf = <const Values extends ReadonlyArray<string>>(...values: Values): Reader<Values[number]> => ({
  read: (input) => Option.fromUndefinedOr(values.find((value) => value === input.trim())),
  expected: `one of ${values.join(", ")}`,
  metavar: values.join("|")
})

/** The environment variable of a flag: `--mean-input-tokens` is `LLMPERF_MEAN_INPUT_TOKENS`. */
export const variableOf = (flag: string): string => `LLMPERF_${flag.toUpperCase().replaceAll("-", "_")}`

const explain = (description: string, name: string, facts: ReadonlyArray<string>): string =>
  `${description} (${[...facts, `env: ${variableOf(name)}`].join("; ")})`

const valued = <A>(name: string, reader: Reader<A>): Flag.Flag<A> =>
  pipe(
    Flag.String(name),
    Flag.withFallbackConfig(Config.String(variableOf(name))),
    Flag.filterMap(reader.read, (given) => `Expected ${reader.expected}, got ${JSON.stringify(given)}`),
    Flag.withMetavar(reader.metavar)
  )

/** A flag that must be given. */
export const required = <A>(name: string, reader: Reader<A>, description: string): Flag.Flag<A> =>
  valued(name, reader).pipe(Flag.withDescription(explain(description, name, ["required"])))

/** A flag with a default. `shown` is the default as a user would write it. */
export const withDefault = <A>(
  name: string,
  reader: Reader<A>,
  fallback: NoInfer<A>,
  description: string,
  shown: string = String(fallback)
): Flag.Flag<A> =>
  valued(name, reader).pipe(
    Flag.withDescription(explain(description, name, [`default: ${shown}`])),
    Flag.withDefault(fallback)
  )

/** A flag that may be left out. */
export const optional = <A>(name: string, reader: Reader<A>, description: string): Flag.Flag<Option.Option<A>> =>
  valued(name, reader).pipe(Flag.withDescription(explain(description, name, [])), Flag.optional)

/** A flag that may be given several times; its environment variable holds one value a line. */
export const repeated = <A>(name: string, reader: Reader<A>, description: string): Flag.Flag<ReadonlyArray<A>> => {
  const invalid = (given: string) =>
    new CliError.InvalidValue({ option: name, value: given, expected: reader.expected, kind: "flag" })
  const read = (given: string) => Effect.mapError(Effect.fromOption(reader.read(given)), () => invalid(given))
  const fromVariable = Config.option(Config.String(variableOf(name))).pipe(
    Effect.map((value) =>
      Option.getOrElse(value, () => "")
        .split("\n")
        .filter((line) => line.trim() !== "")
    ),
    Effect.mapError((error) => invalid(error.message))
  )
  return Flag.String(name).pipe(
    Flag.withMetavar(reader.metavar),
    Flag.withDescription(explain(`${description}; may be repeated`, name, [])),
    Flag.atLeast(0),
    Flag.mapEffect((given) =>
      Effect.flatMap(given.length > 0 ? Effect.succeed(given) : fromVariable, (values) => Effect.forEach(values, read))
    )
  )
}

/** An on-off flag; `--no-<name>` is its opposite. */
export const toggle = (name: string, fallback: boolean, description: string): Flag.Flag<boolean> =>
  Flag.Boolean(name).pipe(
    Flag.withFallbackConfig(Config.Boolean(variableOf(name))),
    Flag.withDescription(explain(description, name, [`default: ${fallback ? "on" : "off"}`])),
    Flag.withDefault(fallback)
  )

export const alias =
  (name: string) =>
  <A>(flag: Flag.Flag<A>): Flag.Flag<A> =>
    Flag.withAlias(flag, name)
