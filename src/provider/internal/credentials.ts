import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as LlmError from "../../domain/LlmError.ts"

/** Says that an environment variable must be set, and what it holds. */
export const missing = (variable: string, description: string): Effect.Effect<never, LlmError.LlmError> =>
  Effect.fail(LlmError.fromReason(new LlmError.MissingCredential({ variable, description })))

/** An environment variable, none when it is not set or blank. */
export const optionalText = (variable: string): Effect.Effect<Option.Option<string>, Config.ConfigError> =>
  Effect.map(
    Config.option(Config.String(variable)),
    Option.flatMap((text) => (text.trim() === "" ? Option.none() : Option.some(text.trim())))
  )

/** A secret environment variable, none when it is not set or blank. */
export const optionalSecret = (
  variable: string
): Effect.Effect<Option.Option<Redacted.Redacted<string>>, Config.ConfigError> =>
  Effect.map(
    Config.option(Config.Redacted(variable)),
    Option.flatMap((secret) => {
      const text = Redacted.value(secret).trim()
      return text === "" ? Option.none() : Option.some(Redacted.make(text))
    })
  )

/** An environment variable that must be set. */
export const text = (
  variable: string,
  description: string
): Effect.Effect<string, LlmError.LlmError | Config.ConfigError> =>
  Effect.flatMap(
    optionalText(variable),
    Option.match({ onNone: () => missing(variable, description), onSome: Effect.succeed })
  )

/** What the caller gave, which must not be blank, or else an environment variable that must be set. */
export const givenOr = (
  given: string | undefined,
  variable: string,
  description: string
): Effect.Effect<string, LlmError.LlmError | Config.ConfigError> => {
  if (given === undefined) return text(variable, description)
  return given.trim() === "" ? missing(variable, description) : Effect.succeed(given.trim())
}

/** A secret environment variable that must be set. */
export const secret = (
  variable: string,
  description: string
): Effect.Effect<Redacted.Redacted<string>, LlmError.LlmError | Config.ConfigError> =>
  Effect.flatMap(
    optionalSecret(variable),
    Option.match({ onNone: () => missing(variable, description), onSome: Effect.succeed })
  )
