import * as Option from "effect/Option"
import * as Verdict from "../../metrics/Verdict.ts"
import * as Setting from "./setting.ts"
import { nearest } from "./unknownFlag.ts"

/** A limit and what to make of it; what is not given stays as it is. */
export interface ChangedLimit {
  readonly name: Verdict.LimitName
  readonly degraded: number | null
  readonly invalid: Option.Option<number | null>
}

const names = Verdict.limitNames.map((name) => name.replaceAll("_", "-"))

/** A share that may be above one: `0.05`, `5%`, `500%`. */
const share = (text: string): Option.Option<number> => {
  const inPercent = /^\s*(.*?)\s*%\s*$/.exec(text)?.[1]
  const number = Setting.nonNegative("share").read(inPercent ?? text)
  return inPercent === undefined ? number : Option.map(number, (value) => value / 100)
}

const threshold = (name: Verdict.LimitName, text: string): Option.Option<number | null> => {
  if (text.trim().toLowerCase() === "none") return Option.some(null)
  return Verdict.unitOf(name) === "s" ? Setting.duration.read(text) : share(text)
}

const form = "NAME=DEGRADED or NAME=DEGRADED:INVALID, each a duration (20ms), a share (5%) or none, where NAME is"

/** The names that an unknown one may have been meant for: those that begin with it, or else are spelled alike. */
const meant = (text: string): ReadonlyArray<string> => {
  const given = /^\s*([\w-]+)\s*=/.exec(text)?.[1]?.toLowerCase().replaceAll("_", "-")
  if (given === undefined || names.includes(given)) return []
  const longer = names.filter((name) => name.startsWith(given))
  return longer.length > 0 ? longer : nearest(given, new Set(names))
}

/** `late-requests=2%` changes above what a run is DEGRADED, `late-requests=2%:20%` also above what it is INVALID. */
const limit: Setting.Reader<ChangedLimit> = {
  read: (text) => {
    const [, given, degradedText, invalidText] = /^\s*([\w-]+)\s*=([^:]*)(?::([^:]*))?$/.exec(text) ?? []
    const name = given?.toLowerCase().replaceAll("-", "_")
    if (name === undefined || degradedText === undefined || !Verdict.isLimitName(name)) return Option.none()
    const degraded = threshold(name, degradedText)
    if (Option.isNone(degraded)) return Option.none()
    if (invalidText === undefined) return Option.some({ name, degraded: degraded.value, invalid: Option.none() })
    return Option.map(threshold(name, invalidText), (invalid) => ({
      name,
      degraded: degraded.value,
      invalid: Option.some(invalid)
    }))
  },
  expected: `${form} one of ${names.join(", ")}`,
  expectedFor: (text) => {
    const all = meant(text)
    return all.length === 0 ? null : `${form} ${all.join(" or ")}`
  },
  metavar: "name=value"
}

/** How a run is judged: for every command that measures. */
export const verdict = {
  verdictLimit: Setting.repeated(
    "verdict-limit",
    limit,
    "A limit of the verdict, such as late-requests=2%, loop-delay=10ms:100ms or machine-cpu=none"
  ),
  strict: Setting.toggle("strict", false, "Exit with 1 when the verdict is INVALID")
}

/** The usual limits with these changes; of two to the same limit the later one counts. */
export const limitsOf = (changes: ReadonlyArray<ChangedLimit>): Verdict.Limits => {
  const limits: { [name in Verdict.LimitName]: Verdict.Limit } = { ...Verdict.defaultLimits }
  for (const { degraded, invalid, name } of changes) {
    limits[name] = { degraded, invalid: Option.getOrElse(invalid, () => limits[name].invalid) }
  }
  return limits
}
