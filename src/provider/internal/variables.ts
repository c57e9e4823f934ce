import type * as Arr from "effect/Array"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as LlmError from "../../domain/LlmError.ts"
import * as Address from "./address.ts"

/** A value, and the environment variable that it is from. */
interface Found<A> {
  readonly value: A
  readonly variable: string
}

/** Names of environment variables for one thing; the first that is set counts, and the first is the one to ask for. */
export type Names = Arr.NonEmptyReadonlyArray<string>

const first = <A>(
  names: ReadonlyArray<string>,
  read: (name: string) => Effect.Effect<Option.Option<A>, Config.ConfigError>
): Effect.Effect<Option.Option<Found<A>>, Config.ConfigError> =>
  Effect.gen(function* () {
    for (const variable of names) {
      const found = yield* read(variable)
      if (Option.isSome(found)) return Option.some({ value: found.value, variable })
    }
    return Option.none()
  })

const notBlank = (text: string): Option.Option<string> =>
  text.trim() === "" ? Option.none() : Option.some(text.trim())

const firstText = (names: ReadonlyArray<string>) =>
  first(names, (name) => Effect.map(Config.option(Config.String(name)), Option.flatMap(notBlank)))

const valueOf = <A>(found: Option.Option<Found<A>>): Option.Option<A> => Option.map(found, ({ value }) => value)

/** The first of the variables that is set and not blank. */
export const text = (names: ReadonlyArray<string>): Effect.Effect<Option.Option<string>, Config.ConfigError> =>
  Effect.map(firstText(names), valueOf)

/** The same for a secret. */
export const secret = (
  names: ReadonlyArray<string>
): Effect.Effect<Option.Option<Redacted.Redacted<string>>, Config.ConfigError> =>
  Effect.map(
    first(names, (name) =>
      Effect.map(
        Config.option(Config.Redacted(name)),
        Option.flatMap((value) => Option.map(notBlank(Redacted.value(value)), (text) => Redacted.make(text)))
      )
    ),
    valueOf
  )

/** Says that an environment variable must be set, and what it holds. */
export const missing = (variable: string, description: string): Effect.Effect<never, LlmError.LlmError> =>
  Effect.fail(LlmError.fromReason(new LlmError.MissingCredential({ variable, description })))

/** What the caller gave, which must not be blank, or else the first of the variables that is set; one must be. */
export const givenOr = (
  given: string | undefined,
  names: Names,
  description: string
): Effect.Effect<string, LlmError.LlmError | Config.ConfigError> => {
  const found = given === undefined ? text(names) : Effect.succeed(notBlank(given))
  return Effect.flatMap(found, Option.match({ onNone: () => missing(names[0], description), onSome: Effect.succeed }))
}

/**
 * The address of an API: what the caller gave, or the first of the variables that is set, or `fallback`. Where there is neither,
 * `description` says what is missing. Fails when it is no http(s) address, and says which variable it is from.
 */
export const base = Effect.fnUntraced(function* (
  given: string | undefined,
  names: Names,
  otherwise: { readonly fallback: string } | { readonly description: string }
): Effect.fn.Return<string, LlmError.LlmError | Config.ConfigError> {
  if (given !== undefined && given.trim() !== "") return yield* Address.checked(given.trim(), null)
  // What is given and blank is a mistake, unless nothing need be given.
  const found = given === undefined || "fallback" in otherwise ? yield* firstText(names) : Option.none()
  if (Option.isSome(found)) return yield* Address.checked(found.value.value, found.value.variable)
  return "fallback" in otherwise ? otherwise.fallback : yield* missing(names[0], otherwise.description)
})

/**
 * The first of the variables that is set, for a server at `apiBase`. On this computer and in private networks there need not be one:
 * `null`.
 */
export const keyFor = (
  apiBase: string,
  names: Names,
  description: string
): Effect.Effect<Redacted.Redacted<string> | null, LlmError.LlmError | Config.ConfigError> =>
  Effect.flatMap(secret(names), (key) => {
    if (Option.isSome(key)) return Effect.succeed(key.value)
    return Address.isPrivate(apiBase) ? Effect.succeed(null) : missing(names[0], description)
  })
