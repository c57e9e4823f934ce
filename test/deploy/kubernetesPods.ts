import { type TypeMeta, type TypeMetaGuard } from "@kubernetes-models/base"
import { type IContainer } from "kubernetes-models/v1/Container"
import { type IPodTemplateSpec } from "kubernetes-models/v1/PodTemplateSpec"

/** The only one there is. */
export const only = <A>(all: ReadonlyArray<A>, what: string): A => {
  const [one] = all
  if (one === undefined || all.length > 1) throw new Error(`${all.length} of ${what}`)
  return one
}

export const typed = <A extends TypeMeta>(objects: ReadonlyArray<unknown>, is: TypeMetaGuard<A>): ReadonlyArray<A> =>
  objects.filter((object) => is(object))

/** Of a pod that is brought about: its labels, what it is, and its only container. */
export const podOf = (template: IPodTemplateSpec | undefined) => {
  const spec = template?.spec
  if (spec === undefined) throw new Error("there is no pod")
  return { labels: template?.metadata?.labels ?? {}, spec, container: only(spec.containers, "containers") }
}

/**
 * The arguments and variables of a container, with `$(NAME)` replaced by what is defined before. `fields`: what only the cluster
 * knows, by its path.
 */
export const toldTo = (
  { args = [], env = [] }: IContainer,
  fields: { readonly [path: string]: string }
): { readonly args: ReadonlyArray<string>; readonly variables: { readonly [name: string]: string } } => {
  const variables: { [name: string]: string } = {}
  const expanded = (text: string): string => text.replaceAll(/\$\((\w+)\)/g, (whole, name) => variables[name] ?? whole)
  for (const { name, value = "", valueFrom } of env) {
    variables[name] = fields[valueFrom?.fieldRef?.fieldPath ?? ""] ?? expanded(value)
  }
  return { args: args.map(expanded), variables }
}
