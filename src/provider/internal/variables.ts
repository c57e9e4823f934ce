import type * as Arr from "effect/Array"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as LlmError from "../../domain/LlmError.ts"

/** Names of environment variables for one thing; the first that is set counts, and the first is the one to ask for. */
export type Names = Arr.NonEmptyReadonlyArray<string>

const first = <A>(
  names: ReadonlyArray<string>,
  read: (name: string) => Effect.Effect<Option.Option<A>, Config.ConfigError>
): Effect.Effect<Option.Option<A>, Config.ConfigError> =>
  Effect.gen(function* () {
    for (const name of names) {
      const found = yield* read(name)
      if (Option.isSome(found)) return found
    }
    return Option.none()
  })

const notBlank = (text: string): Option.Option<string> =>
  text.trim() === "" ? Option.none() : Option.some(text.trim())

/** The first of the variables that is set and not blank. */
export const text = (names: ReadonlyArray<string>): Effect.Effect<Option.Option<string>, Config.ConfigError> =>
  first(names, (name) => Effect.map(Config.option(Config.String(name)), Option.flatMap(notBlank)))

/** The same for a secret. */
export const secret = (
  names: ReadonlyArray<string>
): Effect.Effect<Option.Option<Redacted.Redacted<string>>, Config.ConfigError> =>
  first(names, (name) =>
    Effect.map(
      Config.option(Config.Redacted(name)),
      Option.flatMap((value) => Option.map(notBlank(Redacted.value(value)), (text) => Redacted.make(text)))
    )
  )

/** Says that an environment variable must be set, and what it holds. */
export const missing = (variable: string, description: string): Effect.Effect<never, LlmError.LlmError> =>
  Effect.fail(LlmError.fromReason(new LlmError.MissingCredential({ variable, description })))

const needed =
  <A>(read: (names: Names) => Effect.Effect<Option.Option<A>, Config.ConfigError>) =>
  (names: Names, description: string): Effect.Effect<A, LlmError.LlmError | Config.ConfigError> =>
    Effect.flatMap(read(names), Option.match({ onNone: () => missing(names[0], description), onSome: Effect.succeed }))

/** The first of the variables that is set; one must be. */
export const neededText = needed(text)

/** The same for a secret. */
export const neededSecret = needed(secret)

/** What the caller gave, which must not be blank, or else the first of the variables that is set; one must be. */
export const givenOr = (
  given: string | undefined,
  names: Names,
  description: string
): Effect.Effect<string, LlmError.LlmError | Config.ConfigError> => {
  if (given === undefined) return neededText(names, description)
  return given.trim() === "" ? missing(names[0], description) : Effect.succeed(given.trim())
}

/** What the caller gave, or the first of the variables that is set, or `fallback`. */
export const givenOrDefault = (
  given: string | undefined,
  names: ReadonlyArray<string>,
  fallback: string
): Effect.Effect<string, Config.ConfigError> =>
  given !== undefined && given.trim() !== ""
    ? Effect.succeed(given.trim())
    : Effect.map(
        text(names),
        Option.getOrElse(() => fallback)
      )
