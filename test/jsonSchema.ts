/** Our schemas as a validator of JSON Schema (Ajv, draft 2020-12) reads them. A keyword that it does not know throws. */
import { Ajv2020, type ErrorObject } from "ajv/dist/2020.js"

export type Schema = { readonly [keyword: string]: unknown }

/** What of a value the schema of that name does not allow, with its place: `/ttft_s: anyOf`. */
export type Check = (name: string, value: unknown) => ReadonlyArray<string>

const isObject = (value: unknown): value is Schema =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** What a member of an `anyOf` lacks is said by the `anyOf` itself. */
const isOfMember = ({ schemaPath }: ErrorObject): boolean => /\/anyOf\/\d/.test(schemaPath)

const told = ({ instancePath, keyword, params }: ErrorObject): string => {
  const name: unknown = params["missingProperty"] ?? params["additionalProperty"]
  return `${instancePath}: ${keyword}${typeof name === "string" ? ` ${name}` : ""}`
}

export const checker = (all: ReadonlyMap<string, Schema>): Check => {
  const ajv = new Ajv2020({ allErrors: true, strict: true, allowUnionTypes: true })
  for (const schema of all.values()) ajv.addSchema(schema)
  return (name, value) => {
    const validate = ajv.getSchema(name)
    if (validate === undefined) throw new Error(`no schema ${name}`)
    if (validate(value) === true) return []
    return (validate.errors ?? []).filter((error) => !isOfMember(error)).map(told)
  }
}

const closedAt = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(closedAt)
  if (!isObject(value)) return value
  const inner = Object.fromEntries(Object.entries(value).map(([keyword, part]) => [keyword, closedAt(part)]))
  return "properties" in value && value["additionalProperties"] === true
    ? { ...inner, additionalProperties: false }
    : inner
}

/**
 * The schemas without the room that they leave to later versions: every key must be described. In a summary there may be those
 * besides that the user gave with --metadata.
 */
export const closed = (
  all: ReadonlyMap<string, Schema>,
  metadata: ReadonlyArray<string> = []
): ReadonlyMap<string, Schema> =>
  new Map(
    [...all].map(([name, schema]) => {
      const strict = closedAt(schema)
      if (!isObject(strict) || !isObject(strict["properties"])) return [name, isObject(strict) ? strict : {}]
      const given = name.endsWith("summary.json") ? Object.fromEntries(metadata.map((key) => [key, {}])) : {}
      return [name, { ...strict, properties: { ...given, ...strict["properties"] } }]
    })
  )
