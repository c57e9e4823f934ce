/**
 * Where agents are found: in a table of a Postgres database in which they enter themselves, or among the pods of a Kubernetes
 * namespace.
 *
 * @since 0.2.0
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { isIP } from "node:net"
import * as AgentAddress from "./AgentAddress.ts"

/**
 * A database. `url` is without a password.
 *
 * `tlsName`: the name that the certificates of all agents have, when they do not have those of their hosts; `null` when they do.
 *
 * @category models
 * @since 0.2.0
 */
export interface Postgres {
  readonly _tag: "Postgres"
  readonly url: string
  readonly tlsName: string | null
}

/**
 * Pods of a namespace that are chosen by their labels (a label selector, as `kubectl get pods -l` takes it). Their agents listen on
 * `port` of the address of the pod.
 *
 * - `api`, `tokenFile`, `caFile`: where the Kubernetes API is, and the files of the token and of the certificates with which to speak to
 *   it. In a pod these are known
 * - `tlsName`: see `Postgres`. Nobody knows the address of a pod when its certificate is made
 *
 * @category models
 * @since 0.2.0
 */
export interface Pods {
  readonly _tag: "Pods"
  readonly namespace: string
  readonly labels: string
  readonly port: number
  readonly api: string
  readonly tokenFile: string | null
  readonly caFile: string | null
  readonly tlsName: string | null
}

/**
 * @category models
 * @since 0.2.0
 */
export type ClusterAddress = Postgres | Pods

/**
 * A text is not the address of a cluster.
 *
 * @category errors
 * @since 0.2.0
 */
export class ClusterAddressError extends Schema.TaggedError<ClusterAddressError>("llmperf/fleet/ClusterAddressError")(
  "ClusterAddressError",
  { description: Schema.String }
) {
  override get message(): string {
    return this.description
  }
}

/**
 * What addresses look like, for help and messages.
 *
 * @category parsing
 * @since 0.2.0
 */
export const EXPECTED = "postgres://user@host:5432/database or k8s://namespace/label%3Dvalue?port=7070"

/** Of a pod: what Kubernetes puts into every one that has a service account. */
const SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
const API_IN_A_POD = "https://kubernetes.default.svc"

const SSL_MODES = ["disable", "prefer", "require", "verify-full"]

const wrong = (description: string) => Result.fail(new ClusterAddressError({ description }))

/** What does not belong after the `?`, if there is anything. */
const unknownIn = ({ searchParams }: URL, known: ReadonlyArray<string>): string | undefined =>
  [...searchParams.keys()].find((name) => !known.includes(name))

/** The name in the certificates of agents. */
const tlsNameOf = ({ searchParams }: URL): Result.Result<string | null, ClusterAddressError> => {
  const name = searchParams.get("tls-name")
  return name === null || (/^[\w-]+(\.[\w-]+)*$/.test(name) && isIP(name) === 0)
    ? Result.succeed(name)
    : wrong(
        `tls-name is the name that stands in the certificates of all agents, such as llmperf-agent, and not "${name}"`
      )
}

const decoded = (text: string): string | undefined => {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

const postgres = (url: URL): Result.Result<ClusterAddress, ClusterAddressError> => {
  if (url.password !== "") {
    return wrong(
      "a password in --cluster can be seen by every user of this machine: leave it out, and set the variable PGPASSWORD"
    )
  }
  const unknown = unknownIn(url, ["sslmode", "tls-name"])
  if (unknown !== undefined) return wrong(`"${unknown}" is not known here: sslmode and tls-name may follow the ?`)
  const mode = url.searchParams.get("sslmode")
  if (mode !== null && !SSL_MODES.includes(mode)) return wrong(`sslmode is one of ${SSL_MODES.join(", ")}`)
  if (url.username === "" || url.hostname === "" || !/^\/[^/]+$/.test(url.pathname)) {
    return wrong("a database is written postgres://user@host:5432/database")
  }
  return Result.map(tlsNameOf(url), (tlsName) => {
    const database = new URL(url)
    database.searchParams.delete("tls-name")
    return { _tag: "Postgres", url: database.href, tlsName }
  })
}

const pods = (url: URL): Result.Result<ClusterAddress, ClusterAddressError> => {
  const unknown = unknownIn(url, ["port", "api", "token-file", "ca-file", "tls-name"])
  if (unknown !== undefined) {
    return wrong(`"${unknown}" is not known here: port, tls-name, api, token-file and ca-file may follow the ?`)
  }
  // RFC 1123, as Kubernetes has it
  if (!/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(url.hostname)) {
    return wrong(`after k8s:// comes the name of a namespace: k8s://default/app%3Dllmperf-agent`)
  }
  const labels = decoded(url.pathname.slice(1))
  if (labels === undefined || labels.trim() === "") {
    return wrong("pods are chosen by their labels, with %3D for =: k8s://default/app%3Dllmperf-agent")
  }
  const digits = url.searchParams.get("port") ?? String(AgentAddress.DEFAULT_PORT)
  const port = Number(digits)
  if (!/^\d{1,5}$/.test(digits) || port < 1 || port > 65_535) {
    return wrong(`port is that of the agents, 1 to 65535, and not "${digits}"`)
  }
  const given = url.searchParams.get("api")
  if (given !== null && !(URL.canParse(given) && /^https?:/.test(given))) {
    return wrong("api is an http or https address, such as http://127.0.0.1:8001 of kubectl proxy")
  }
  // Elsewhere than in the pod its token is not sent: it would be told to whoever is there
  const inPod = given === null
  return Result.map(tlsNameOf(url), (tlsName) => ({
    _tag: "Pods",
    namespace: url.hostname,
    labels,
    port,
    api: (given ?? API_IN_A_POD).replace(/\/+$/, ""),
    tokenFile: url.searchParams.get("token-file") ?? (inPod ? `${SERVICE_ACCOUNT}/token` : null),
    caFile: url.searchParams.get("ca-file") ?? (inPod ? `${SERVICE_ACCOUNT}/ca.crt` : null),
    tlsName
  }))
}

/**
 * Reads `postgres://user@host:5432/database?sslmode=…&tls-name=…`, where the password comes from `PGPASSWORD`, or
 * `k8s://namespace/label%3Dvalue?port=7070&tls-name=…&api=…&token-file=…&ca-file=…`.
 *
 * @category parsing
 * @since 0.2.0
 */
export const parse = (text: string): Result.Result<ClusterAddress, ClusterAddressError> => {
  const trimmed = text.trim()
  const url = URL.canParse(trimmed) ? new URL(trimmed) : null
  switch (url?.protocol) {
    case "postgres:":
    case "postgresql:":
      return postgres(url)
    case "k8s:":
      return pods(url)
    default:
      return wrong(`a cluster is ${EXPECTED}`)
  }
}

/**
 * For messages: nothing in it is secret.
 *
 * @category formatting
 * @since 0.2.0
 */
export const format = (address: ClusterAddress): string =>
  address._tag === "Postgres"
    ? address.url
    : `pods of the namespace ${address.namespace} with ${address.labels}, port ${address.port}`
