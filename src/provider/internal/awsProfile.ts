import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as LlmError from "../../domain/LlmError.ts"
import { type Profile } from "./awsChain.ts"
import * as Variables from "./variables.ts"

/** More profiles than these are not named. */
const MOST_NAMED = 20

const profilesIn = (names: ReadonlyArray<string>, files: string): string => {
  if (names.length === 0) return `there are no profiles in ${files}`
  const more = names.length > MOST_NAMED ? ` and ${names.length - MOST_NAMED} more` : ""
  return `profiles in ${files}: ${names.slice(0, MOST_NAMED).join(", ")}${more}`
}

/** Where AWS's tools keep profiles, as people write it. */
const files = Effect.gen(function* () {
  const config = Option.getOrElse(yield* Variables.text(["AWS_CONFIG_FILE"]), () => "~/.aws/config")
  const credentials = Option.getOrElse(
    yield* Variables.text(["AWS_SHARED_CREDENTIALS_FILE"]),
    () => "~/.aws/credentials"
  )
  return `${config} and ${credentials}`
})

/** Fails when `AWS_PROFILE` names a profile that there is not. That there is no `default` is no error. */
export const check = ({ found, name, names }: Profile): Effect.Effect<void, LlmError.LlmError | Config.ConfigError> =>
  found || name === "default"
    ? Effect.void
    : Effect.flatMap(files, (at) =>
        Variables.missing(
          "AWS_PROFILE",
          `to a profile that exists; there is none named ${name} (${profilesIn(names, at)})`
        )
      )

/** The region of the profile that is used, if it has one. */
export const region: Effect.Effect<string | undefined, LlmError.LlmError | Config.ConfigError> = Effect.gen(
  function* () {
    const { readProfile } = yield* Effect.promise(() => import("./awsChain.ts"))
    const profile = yield* Effect.promise(readProfile)
    yield* check(profile)
    return profile.region
  }
)
