/** The part of JSON Schema (draft 2020-12) that our schemas use, read strictly: a keyword that is not known here throws. */

export type Schema = { readonly [keyword: string]: unknown }

const isObject = (value: unknown): value is Schema =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const isOfType = (type: unknown, value: unknown): boolean => {
  switch (type) {
    case "null":
      return value === null
    case "integer":
      return Number.isInteger(value)
    case "array":
      return Array.isArray(value)
    case "object":
      return isObject(value)
    case "number":
    case "string":
    case "boolean":
      return typeof value === type
    default:
      throw new Error(`unknown type ${String(type)}`)
  }
}

const schemaOf = (value: unknown): Schema => {
  if (value === true) return {}
  if (value === false) return { enum: [] }
  if (!isObject(value)) throw new Error(`not a schema: ${JSON.stringify(value)}`)
  return value
}

const listOf = (value: unknown): ReadonlyArray<unknown> => {
  if (!Array.isArray(value)) throw new Error(`not a list: ${JSON.stringify(value)}`)
  return value
}

const toldOnly = new Set(["$schema", "$id", "title", "description"])

/** What of the value the schema does not allow, with its place. `$ref` names another of `all`. */
export const problems = (
  all: ReadonlyMap<string, Schema>,
  schema: Schema,
  value: unknown,
  at = ""
): ReadonlyArray<string> => {
  const check = (inner: unknown, part: unknown, place: string) => problems(all, schemaOf(inner), part, place)
  const unless = (ok: boolean, keyword: string) => (ok ? [] : [`${at}: ${keyword}`])
  const named = isObject(schema["properties"]) ? schema["properties"] : {}
  return Object.entries(schema).flatMap(([keyword, given]): ReadonlyArray<string> => {
    if (toldOnly.has(keyword)) return []
    switch (keyword) {
      case "$ref": {
        const target = all.get(String(given))
        if (target === undefined) throw new Error(`no schema ${String(given)}`)
        return problems(all, target, value, at)
      }
      case "type":
        return unless(
          (Array.isArray(given) ? given : [given]).some((type) => isOfType(type, value)),
          `type ${String(given)}`
        )
      case "enum":
        return unless(listOf(given).includes(value), "enum")
      case "anyOf":
        return unless(
          listOf(given).some((member) => check(member, value, at).length === 0),
          "anyOf"
        )
      case "minimum":
        return unless(typeof value !== "number" || value >= Number(given), keyword)
      case "maximum":
        return unless(typeof value !== "number" || value <= Number(given), keyword)
      case "minLength":
        return unless(typeof value !== "string" || [...value].length >= Number(given), keyword)
      case "minItems":
        return unless(!Array.isArray(value) || value.length >= Number(given), keyword)
      case "maxItems":
        return unless(!Array.isArray(value) || value.length <= Number(given), keyword)
      case "pattern":
        return unless(typeof value !== "string" || new RegExp(String(given), "u").test(value), keyword)
      case "required":
        return isObject(value)
          ? listOf(given).flatMap((name) => unless(String(name) in value, `lacks ${String(name)}`))
          : []
      case "properties":
        return isObject(value)
          ? Object.entries(named).flatMap(([name, inner]) =>
              name in value ? check(inner, value[name], `${at}/${name}`) : []
            )
          : []
      case "additionalProperties":
        return isObject(value)
          ? Object.keys(value).flatMap((name) => (name in named ? [] : check(given, value[name], `${at}/${name}`)))
          : []
      case "prefixItems":
        return Array.isArray(value)
          ? listOf(given).flatMap((inner, index) =>
              index < value.length ? check(inner, value[index], `${at}/${index}`) : []
            )
          : []
      case "items": {
        const before = Array.isArray(schema["prefixItems"]) ? schema["prefixItems"].length : 0
        return Array.isArray(value)
          ? value.slice(before).flatMap((item, index) => check(given, item, `${at}/${before + index}`))
          : []
      }
      default:
        throw new Error(`unknown keyword ${keyword}`)
    }
  })
}
