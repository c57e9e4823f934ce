import { Job } from "kubernetes-models/batch/v1/Job"
import { StatefulSet } from "kubernetes-models/apps/v1/StatefulSet"
import { NetworkPolicy } from "kubernetes-models/networking.k8s.io/v1/NetworkPolicy"
import { PodDisruptionBudget } from "kubernetes-models/policy/v1/PodDisruptionBudget"
import { Role } from "kubernetes-models/rbac.authorization.k8s.io/v1/Role"
import { RoleBinding } from "kubernetes-models/rbac.authorization.k8s.io/v1/RoleBinding"
import { Pod } from "kubernetes-models/v1/Pod"
import { Namespace } from "kubernetes-models/v1/Namespace"
import { PersistentVolumeClaim } from "kubernetes-models/v1/PersistentVolumeClaim"
import { Service } from "kubernetes-models/v1/Service"
import { ServiceAccount } from "kubernetes-models/v1/ServiceAccount"

/** What the API server would be sent. */
export interface ApiObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly namespace?: string }
}

const models = [
  Job,
  Namespace,
  NetworkPolicy,
  PersistentVolumeClaim,
  Pod,
  PodDisruptionBudget,
  Role,
  RoleBinding,
  Service,
  ServiceAccount,
  StatefulSet
]

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null

/** The paths of all values within a value. */
const pathsIn = (value: unknown, path = ""): ReadonlyArray<string> =>
  isObject(value)
    ? Object.entries(value).flatMap(([key, item]) => [`${path}/${key}`, ...pathsIn(item, `${path}/${key}`)])
    : []

/** The same value, which notes the paths that are looked at. */
const watched = (value: object, path: string, seen: Set<string>): object =>
  new Proxy(value, {
    get: (target, key) => {
      const item: unknown = Reflect.get(target, key)
      if (typeof key !== "string" || !Object.hasOwn(target, key)) return item
      seen.add(`${path}/${key}`)
      return isObject(item) ? watched(item, `${path}/${key}`, seen) : item
    }
  })

/**
 * What the schemas of the Kubernetes API have against an object. They allow fields that they do not know, which the API server does
 * not take from `kubectl`: those are the fields that the validator never looked at.
 */
export const problemsOf = (object: ApiObject): ReadonlyArray<string> => {
  const model = models.find(({ apiVersion, kind }) => apiVersion === object.apiVersion && kind === object.kind)
  if (model === undefined) return [`${object.apiVersion} ${object.kind} is not known`]
  const seen = new Set<string>()
  try {
    Reflect.apply(model.prototype.validate, watched(object, "", seen), [])
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)]
  }
  return pathsIn(object)
    .filter((path) => !seen.has(path))
    .map((path) => `${path} is not known`)
}
