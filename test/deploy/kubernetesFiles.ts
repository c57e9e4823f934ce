import * as Schema from "effect/Schema"
import { posix } from "node:path"
import { parse, parseAllDocuments } from "yaml"
import { type ApiObject } from "./kubernetesApi.ts"
import { textOf } from "./repository.ts"

const Words = Schema.Array(Schema.String)

const Generator = Schema.Struct({
  name: Schema.String,
  type: Schema.optionalKey(Schema.String),
  files: Schema.optionalKey(Words),
  envs: Schema.optionalKey(Words)
})

/** All that our files use of it: a key that is not here would not be understood below. */
const Kustomization = Schema.Struct({
  apiVersion: Schema.Literal("kustomize.config.k8s.io/v1beta1"),
  kind: Schema.Literal("Kustomization"),
  namespace: Schema.optionalKey(Schema.String),
  labels: Schema.optionalKey(Schema.Array(Schema.Struct({ pairs: Schema.Record(Schema.String, Schema.String) }))),
  resources: Words,
  images: Schema.optionalKey(
    Schema.Array(Schema.Struct({ name: Schema.String, newName: Schema.String, newTag: Schema.String }))
  ),
  replicas: Schema.optionalKey(Schema.Array(Schema.Struct({ name: Schema.String, count: Schema.Int }))),
  secretGenerator: Schema.optionalKey(Schema.Array(Generator)),
  patches: Schema.optionalKey(Schema.Array(Schema.Struct({ path: Schema.String })))
})

export interface Kustomization extends Schema.Schema.Type<typeof Kustomization> {}

/** A secret that is made from files: the file of each key, and files of variables. */
export interface Secret {
  readonly name: string
  readonly keys: ReadonlyMap<string, string>
  readonly envs: ReadonlyArray<string>
}

const Named = Schema.Struct({
  apiVersion: Schema.String,
  kind: Schema.String,
  metadata: Schema.Struct({ name: Schema.String })
})

const decodeKustomization = Schema.decodeUnknownSync(Kustomization, { onExcessProperty: "error" })
const isNamed = Schema.is(Named)

const kustomizationIn = (folder: string): Kustomization =>
  decodeKustomization(parse(textOf(posix.join(folder, "kustomization.yaml"))))

export const objectsIn = (path: string): ReadonlyArray<ApiObject> =>
  parseAllDocuments(textOf(path)).map((document) => {
    const object: unknown = document.toJS()
    if (!isNamed(object)) throw new Error(`${path} holds what is no object of the API`)
    return object
  })

type Fields = { readonly [key: string]: unknown }

const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const isListOfNamed = (value: unknown): value is ReadonlyArray<Fields> =>
  Array.isArray(value) && value.every((item) => isFields(item) && typeof item["name"] === "string")

/** A strategic merge: fields by their names, lists of what has a name by the names, other lists as a whole; `null` takes away. */
const merge = (base: unknown, patch: unknown): unknown => {
  if (isListOfNamed(base) && isListOfNamed(patch)) {
    const merged = base.map((item) => {
      const change = patch.find(({ name }) => name === item["name"])
      return change === undefined ? item : merge(item, change)
    })
    return [...merged, ...patch.filter(({ name }) => !base.some((item) => item["name"] === name))]
  }
  if (!isFields(base) || !isFields(patch)) return patch
  const changed = Object.entries(patch).map(([key, value]) => [key, merge(base[key], value)])
  return Object.fromEntries(
    Object.entries({ ...base, ...Object.fromEntries(changed) }).filter(([, value]) => value !== null)
  )
}

const patched = (object: ApiObject, patch: ApiObject): ApiObject => {
  const isMeant = patch.kind === object.kind && patch.metadata.name === object.metadata.name
  if (!isMeant) return object
  const merged = merge(object, patch)
  return isNamed(merged) ? merged : object
}

const secretOf = (folder: string, { envs = [], files = [], name }: typeof Generator.Type): Secret => ({
  name,
  keys: new Map(
    files.map((text) => {
      const [key = "", file = key] = text.split("=")
      return [posix.basename(key), posix.join(folder, file)]
    })
  ),
  envs: envs.map((file) => posix.join(folder, file))
})

/** What kustomize makes of a folder, as far as these files use it; secrets are told apart. */
export const build = (
  folder: string
): {
  readonly kustomization: Kustomization
  readonly objects: ReadonlyArray<ApiObject>
  readonly patches: ReadonlyArray<ApiObject>
  readonly secrets: ReadonlyArray<Secret>
} => {
  const kustomization = kustomizationIn(folder)
  const found = kustomization.resources.flatMap((resource) => {
    const path = posix.join(folder, resource)
    return path.endsWith(".yaml") ? objectsIn(path) : build(path).objects
  })
  const patches = (kustomization.patches ?? []).flatMap(({ path }) => objectsIn(posix.join(folder, path)))
  const replicas = new Map((kustomization.replicas ?? []).map(({ count, name }) => [name, count]))
  const objects = found
    .map((object) => patches.reduce(patched, object))
    .map((object) => {
      const scaled = { ...object, spec: { replicas: replicas.get(object.metadata.name) } }
      return object.kind === "StatefulSet" && scaled.spec.replicas !== undefined ? patched(object, scaled) : object
    })
  return {
    kustomization,
    objects,
    patches,
    secrets: (kustomization.secretGenerator ?? []).map((one) => secretOf(folder, one))
  }
}
