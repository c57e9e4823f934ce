import * as Schema from "effect/Schema"
import { parse } from "yaml"
import { textOf } from "./repository.ts"

const Text = Schema.Union([Schema.String, Schema.Finite])
const Words = Schema.Array(Schema.String)

/** What these tests look at; other keys are left aside. */
const Service = Schema.Struct({
  image: Schema.String,
  user: Schema.optionalKey(Schema.String),
  read_only: Schema.optionalKey(Schema.Boolean),
  cap_drop: Schema.optionalKey(Words),
  security_opt: Schema.optionalKey(Words),
  entrypoint: Schema.optionalKey(Words),
  command: Schema.optionalKey(Words),
  environment: Schema.optionalKey(Schema.Record(Schema.String, Text)),
  secrets: Schema.optionalKey(Words),
  networks: Words,
  ports: Schema.optionalKey(Schema.Array(Schema.Unknown)),
  profiles: Schema.optionalKey(Words),
  volumes: Schema.optionalKey(Words),
  depends_on: Schema.optionalKey(Schema.Record(Schema.String, Schema.Struct({ condition: Schema.String }))),
  healthcheck: Schema.optionalKey(Schema.Struct({ test: Words })),
  ulimits: Schema.optionalKey(Schema.Struct({ nofile: Schema.Struct({ soft: Schema.Int, hard: Schema.Int }) })),
  deploy: Schema.Struct({
    resources: Schema.Struct({
      limits: Schema.Struct({ cpus: Schema.String, memory: Schema.String, pids: Schema.Int })
    })
  })
})

export interface Service extends Schema.Schema.Type<typeof Service> {}

const ComposeFile = Schema.Struct({
  services: Schema.Record(Schema.String, Service),
  networks: Schema.Record(
    Schema.String,
    Schema.NullOr(Schema.Struct({ internal: Schema.optionalKey(Schema.Boolean) }))
  ),
  volumes: Schema.Record(Schema.String, Schema.Null),
  secrets: Schema.Record(Schema.String, Schema.Struct({ file: Schema.String }))
})

export interface ComposeFile extends Schema.Schema.Type<typeof ComposeFile> {}

export const path = "deploy/compose.yaml"

/** The document, with merge keys merged, as YAML has it. */
export const document = (): unknown => parse(textOf(path), { merge: true })

type Variables = { readonly [name: string]: string }

/** What Compose makes of a text: `${NAME:-default}` where the variable is not set, and `$` of `$$`. */
export const interpolate = (text: string, variables: Variables): string =>
  text.replaceAll(/\$(?:(\$)|\{(\w+)(?::-([^}]*))?\})/g, (_, dollar, name, otherwise) =>
    dollar === "$" ? "$" : variables[name] || (otherwise ?? "")
  )

const interpolateAll = (value: unknown, variables: Variables): unknown => {
  if (typeof value === "string") return interpolate(value, variables)
  if (Array.isArray(value)) return value.map((item) => interpolateAll(item, variables))
  if (typeof value !== "object" || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, interpolateAll(item, variables)]))
}

/** The file as Compose takes it, with these variables set. */
export const read = (variables: Variables = {}): ComposeFile =>
  Schema.decodeUnknownSync(ComposeFile)(interpolateAll(document(), variables))
