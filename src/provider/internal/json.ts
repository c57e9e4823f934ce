/** What a JSON object is before anything is known of it. */
export interface JsonObject {
  readonly [name: string]: unknown
}

/** Whether it has fields that can be asked for: objects, and lists too. */
export const isObject = (value: unknown): value is JsonObject => typeof value === "object" && value !== null

/** The value of a JSON text; `undefined` when it is none. */
export const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** A text, `undefined` when it is none or empty. */
export const text = (value: unknown): string | undefined =>
  typeof value === "string" && value !== "" ? value : undefined

/** A number, `null` when it is none. */
export const count = (value: unknown): number | null =>
  typeof value === "number" && Number.isFinite(value) ? value : null
