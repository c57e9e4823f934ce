import * as Option from "effect/Option"
import * as AbortOnErrors from "../../engine/AbortOnErrors.ts"
import * as Setting from "./setting.ts"

/** `20`: so many in a row; `5%` or `0.05`: more than this share; `off`: never. */
const policy: Setting.Reader<AbortOnErrors.Policy> = {
  read: (text) => {
    if (text.trim().toLowerCase() === "off") return Option.some({ _tag: "Never" })
    const count = Setting.positiveInt("requests").read(text)
    if (Option.isSome(count)) return Option.some({ _tag: "InARow", count: count.value })
    return Option.map(Setting.share.read(text), (share) => ({
      _tag: "Share",
      share,
      least: AbortOnErrors.USUAL_COUNT
    }))
  },
  expected: "a number of failed requests in a row, a share of them such as 5% or 0.05, or off",
  metavar: "number|share|off"
}

/** When a test is ended because requests fail: for every command that asks an API. */
export const errors = {
  abortOnErrors: Setting.withDefault(
    "abort-on-errors",
    policy,
    AbortOnErrors.defaultPolicy,
    `Stop after N failed requests in a row, or when more than this share has failed (of at least ${AbortOnErrors.USUAL_COUNT}); off never stops`,
    `${AbortOnErrors.USUAL_COUNT} in a row with 401, 403, 404, connection refused or an answer of another API, or with 400, 405 or 422 and the same message, while none has succeeded`
  )
}
