import * as Schema from "effect/Schema"
import * as LlmError from "../../domain/LlmError.ts"
import * as Limits from "./limits.ts"

/** What a JSON object is before anything is known of it. */
export interface JsonObject {
  readonly [name: string]: unknown
}

/** Whether it has fields that can be asked for: objects, and lists too. */
export const isObject = (value: unknown): value is JsonObject => typeof value === "object" && value !== null

const QUOTE = 0x22
const BACKSLASH = 0x5c

/** Whether lists and objects are nested more deeply than is read. */
const isTooDeep = (text: string): boolean => {
  // A level takes two characters at least.
  if (text.length < 2 * Limits.maxJsonDepth) return false
  let depth = 0
  for (let i = 0; i < text.length; i++) {
    switch (text.charCodeAt(i)) {
      case QUOTE: {
        let code = text.charCodeAt(++i)
        while (code !== QUOTE && i < text.length) code = text.charCodeAt(code === BACKSLASH ? (i += 2) : ++i)
        break
      }
      case 0x5b:
      case 0x7b:
        if (++depth > Limits.maxJsonDepth) return true
        break
      case 0x5d:
      case 0x7d:
        depth--
    }
  }
  return false
}

/** The value of a JSON text; `undefined` when it is none, or nested too deeply. */
export const parse = (text: string): unknown => {
  if (isTooDeep(text)) return undefined
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Why a text has no value. `what`: what it should have been JSON for. */
export const failureOf = (text: string, what = "The stream holds something that is not JSON"): LlmError.Reason =>
  isTooDeep(text)
    ? new LlmError.TooLarge({ description: `JSON nested more than ${Limits.maxJsonDepth} levels deep` })
    : new LlmError.Protocol({ description: `${what}: ${text.slice(0, 200)}` })

/** A text, `undefined` when it is none or empty. */
export const text = (value: unknown): string | undefined =>
  typeof value === "string" && value !== "" ? value : undefined

/** A count: a whole number from 0 to 2^53 − 1. */
export const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))

/** A count, `null` when it is none: a server may write anything in its place. */
export const count = (value: unknown): number | null =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : null

/** The sum of counts, where those that are not known count nothing; `null` when none is known. */
export const total = (...counts: ReadonlyArray<number | null>): number | null => {
  const known = counts.filter((each) => each !== null)
  return known.length === 0 ? null : count(known.reduce((sum, each) => sum + each, 0))
}
