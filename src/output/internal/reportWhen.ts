import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import type { Fields } from "../../domain/Fields.ts"

/** When the summary was written, such as `2026-11-24 09:30 UTC`; empty when it does not say. */
export const startedAt = (summary: Fields): string => {
  const at = summary["timestamp"]
  if (typeof at !== "number") return ""
  return Option.match(DateTime.make(at * 1_000), {
    onNone: () => "",
    onSome: (time) => `${DateTime.formatIso(time).slice(0, 16).replace("T", " ")} UTC`
  })
}
