import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import { pipe } from "effect/Function"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { CliError, Flag } from "effect/cli"
import { parseSeconds } from "../../domain/DurationText.ts"
import * as Secrets from "../../domain/Secrets.ts"
import { tooLarge } from "./smallValue.ts"

/** How a value is read from text, and what to say when it cannot be. */
export interface Reader<A> {
  readonly read: (text: string) => Option.Option<A>
  readonly expected: string
  /** How the help names the value, such as `tokens` or `duration`. */
  readonly metavar: string
  /** What is expected in place of this text, where more can be said than that. */
  readonly expectedFor?: (text: string) => string | null
  /** How an error message shows a value that cannot be read; by default without the secrets of an address in it. */
  readonly shown?: (text: string) => string
}

/** Shows nothing of a value, which may be a secret. */
export const hidden = (): string => "***"

const fromSchema = <A>(schema: Schema.Codec<A, string>, expected: string, metavar: string): Reader<A> => ({
  read: Schema.decodeUnknownOption(schema),
  expected,
  metavar
})

/** A number as people write it: not the empty text, which counts as 0 elsewhere, and no hexadecimal. */
const NumberFromText = Schema.String.check(Schema.isPattern(/^\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*$/i)).pipe(
  Schema.decodeTo(Schema.FiniteFromString)
)

const between = (minimum: number, most: number) => Schema.isBetween({ minimum, maximum: most })

const integerFrom = (minimum: number, most: number) => NumberFromText.check(Schema.isInt(), between(minimum, most))

const upTo = (most: number): string => (most === Number.MAX_SAFE_INTEGER ? "" : `, at most ${most}`)

export const text = (metavar: string): Reader<string> =>
  fromSchema(Schema.NonEmptyString, "some text that is not empty", metavar)

export const positiveInt = (unit: string, most: number = Number.MAX_SAFE_INTEGER): Reader<number> =>
  fromSchema(integerFrom(1, most), `a whole number above 0${upTo(most)}`, unit)

export const naturalInt = (unit: string, most: number = Number.MAX_SAFE_INTEGER): Reader<number> =>
  fromSchema(integerFrom(0, most), `a whole number, 0 or more${upTo(most)}`, unit)

export const nonNegative = (unit: string, most: number = Number.MAX_SAFE_INTEGER): Reader<number> =>
  fromSchema(NumberFromText.check(between(0, most)), `a number, 0 or more${upTo(most)}`, unit)

/** Tokens of a prompt or an answer: ten times what the longest models take. */
const MOST_TOKENS = 10_000_000

export const tokens: Reader<number> = positiveInt("tokens", MOST_TOKENS)

/** How far lengths are from their mean, in tokens. */
export const tokenSpread: Reader<number> = nonNegative("tokens", MOST_TOKENS)

/** Requests in flight: a machine has connections for some ten thousand to one address. */
export const inFlight: Reader<number> = positiveInt("requests", 1_000_000)

const percent = /^\s*(.*?)\s*%\s*$/

/** A share of one: `0.05`, or `5%`. */
export const share: Reader<number> = {
  read: (text) => {
    const inPercent = percent.exec(text)?.[1]
    const number =
      inPercent === undefined
        ? nonNegative("").read(text)
        : Option.map(nonNegative("").read(inPercent), (value) => value / 100)
    return Option.filter(number, (value) => value <= 1)
  },
  expected: "a share from 0 to 1, such as 0.05 or 5%",
  metavar: "share"
}

export const duration: Reader<number> = {
  read: (input) => Option.fromUndefinedOr(parseSeconds(input)),
  expected: 'a duration: 30s, 1m30s, 500ms, "2 seconds", or a number of seconds; at most 31 years',
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

const jsonObjectFrom = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Record(Schema.String, Schema.Unknown)))

export const jsonObject: Reader<{ readonly [key: string]: unknown }> = {
  read: (text) => Option.filter(jsonObjectFrom(text), (value) => tooLarge(value) === null),
  expected: "a JSON object, such as '{\"temperature\": 0}', at most 100 levels deep",
  metavar: "json"
}

export const oneOf = <const Values extends ReadonlyArray<string>>(...values: Values): Reader<Values[number]> => ({
  read: (input) => Option.fromUndefinedOr(values.find((value) => value === input.trim())),
  expected: `one of ${values.join(", ")}`,
  metavar: values.join("|")
})

/** The environment variable of a flag: `--mean-input-tokens` is `LLMPERF_MEAN_INPUT_TOKENS`. */
export const variableOf = (flag: string): string => `LLMPERF_${flag.toUpperCase().replaceAll("-", "_")}`

const explain = (description: string, name: string, facts: ReadonlyArray<string>): string =>
  `${description} (${[...facts, `env: ${variableOf(name)}`].join("; ")})`

/** What was given as a value, and in which environment variable if not on the command line. */
interface Given {
  readonly text: string
  readonly variable: string | null
}

const fromFlag = (text: string): Given => ({ text, variable: null })

const invalid = <A>(
  name: string,
  { text, variable }: Given,
  { expected: usual, expectedFor, shown = Secrets.shownValue }: Reader<A>
): CliError.InvalidValue => {
  const expected = expectedFor?.(text) ?? usual
  return new CliError.InvalidValue({
    option: name,
    value: shown(text),
    expected: variable === null ? expected : `${expected} (given in ${variable})`,
    kind: "flag"
  })
}

const readGiven =
  <A>(name: string, reader: Reader<A>) =>
  (given: Given): Effect.Effect<A, CliError.InvalidValue> =>
    Effect.mapError(Effect.fromOption(reader.read(given.text)), () => invalid(name, given, reader))

const givenIn = (variable: string): Config.Config<Given> =>
  Config.map(Config.String(variable), (text) => ({ text, variable }))

const valued = <A>(name: string, reader: Reader<A>): Flag.Flag<A> =>
  pipe(
    Flag.String(name),
    Flag.map(fromFlag),
    Flag.withFallbackConfig(givenIn(variableOf(name))),
    Flag.mapEffect(readGiven(name, reader)),
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

/** A value, and whether it was given or is the default. */
export interface Noted<A> {
  readonly value: A
  readonly given: boolean
}

/** A flag with a default that tells whether it was given, be it with the value of the default. */
export const noted = <A>(
  name: string,
  reader: Reader<A>,
  fallback: NoInfer<A>,
  description: string,
  shown: string = String(fallback)
): Flag.Flag<Noted<A>> =>
  valued(name, reader).pipe(
    Flag.map((value): Noted<A> => ({ value, given: true })),
    Flag.withDescription(explain(description, name, [`default: ${shown}`])),
    Flag.withDefault({ value: fallback, given: false })
  )

/** A flag that may be left out. `shown` is what stands for a default, if something does. */
export const optional = <A>(
  name: string,
  reader: Reader<A>,
  description: string,
  shown?: string
): Flag.Flag<Option.Option<A>> =>
  valued(name, reader).pipe(
    Flag.withDescription(explain(description, name, shown === undefined ? [] : [`default: ${shown}`])),
    Flag.optional
  )

/** A flag that may be given several times; its environment variable holds one value a line. */
export const repeated = <A>(name: string, reader: Reader<A>, description: string): Flag.Flag<ReadonlyArray<A>> => {
  const fromVariable = Config.option(givenIn(variableOf(name))).pipe(
    Effect.map(
      Option.match({
        onNone: () => [],
        onSome: ({ text, variable }) =>
          text
            .split("\n")
            .flatMap((line): ReadonlyArray<Given> => (line.trim() === "" ? [] : [{ text: line, variable }]))
      })
    ),
    Effect.mapError(({ message }) => invalid(name, { text: message, variable: variableOf(name) }, reader))
  )
  return Flag.String(name).pipe(
    Flag.withMetavar(reader.metavar),
    Flag.withDescription(explain(`${description}; may be repeated`, name, [])),
    Flag.atLeast(0),
    Flag.mapEffect((texts) =>
      Effect.flatMap(texts.length > 0 ? Effect.succeed(texts.map(fromFlag)) : fromVariable, (all) =>
        Effect.forEach(all, readGiven(name, reader))
      )
    )
  )
}

const onOff: Reader<boolean> = {
  read: (text) => {
    const word = text.trim().toLowerCase()
    if (["true", "yes", "on", "1", "y"].includes(word)) return Option.some(true)
    return ["false", "no", "off", "0", "n"].includes(word) ? Option.some(false) : Option.none()
  },
  expected: "true or false",
  metavar: ""
}

/** An on-off flag; `--no-<name>` is its opposite. */
export const toggle = (name: string, fallback: boolean, description: string): Flag.Flag<boolean> =>
  Flag.Boolean(name).pipe(
    Flag.withFallbackConfig(givenIn(variableOf(name))),
    Flag.mapEffect((given) => (typeof given === "boolean" ? Effect.succeed(given) : readGiven(name, onOff)(given))),
    Flag.withDescription(explain(description, name, [`default: ${fallback ? "on" : "off"}`])),
    Flag.withDefault(fallback)
  )

export const alias =
  (name: string) =>
  <A>(flag: Flag.Flag<A>): Flag.Flag<A> =>
    Flag.withAlias(flag, name)
