import * as Effect from "effect/Effect"
import type * as LlmError from "../../domain/LlmError.ts"
import { type Profile } from "./awsChain.ts"
import * as Variables from "./variables.ts"

/** Fails when `AWS_PROFILE` names a profile that there is not. That there is no `default` is no error. */
export const check = ({ found, name }: Profile): Effect.Effect<void, LlmError.LlmError> =>
  found || name === "default"
    ? Effect.void
    : Variables.missing(
        "AWS_PROFILE",
        `the name of a profile in ~/.aws/config or ~/.aws/credentials. There is none named ${name}`
      )

/** The region of the profile that is used, if it has one. */
export const region: Effect.Effect<string | undefined, LlmError.LlmError> = Effect.gen(function* () {
  const { readProfile } = yield* Effect.promise(() => import("./awsChain.ts"))
  const profile = yield* Effect.promise(readProfile)
  yield* check(profile)
  return profile.region
})
