/**
 * A stand-in for the Kubernetes API that knows one call, listing pods, and is strict about it: whatever else comes is answered as
 * Kubernetes would, and held against the test.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Pod } from "effect/cluster/K8sTypes"
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http"
import { createServer as createSecureServer } from "node:https"

export interface Kubernetes {
  readonly url: string
  /** The calls that were in order. */
  readonly calls: () => number
  /** What was wrong with those that were not. */
  readonly violations: ReadonlyArray<string>
  /** The pods that there are, in no order. */
  readonly set: (pods: ReadonlyArray<Pod>) => void
  /** From now on everything is answered so, `null` for as it should be. */
  readonly breakDown: (status: number | null) => void
}

export interface Options {
  readonly namespace: string
  readonly token: string
  /** Its certificate; without one it speaks plain HTTP. */
  readonly identity?: { readonly cert: string; readonly key: string }
}

const uid = "5b1f3a52-8f0e-4c5a-9a53-1f6f0c1d7e11"
const moment = "2026-11-24T10:00:00Z"

/** A pod of a stateful set, as the API gives it. */
export const pod = (options: {
  readonly name: string
  readonly ip: string | null
  readonly labels?: { readonly [name: string]: string }
  readonly ready?: boolean
  readonly phase?: "Pending" | "Running" | "Succeeded" | "Failed"
  readonly isBeingDeleted?: boolean
}): Pod => {
  const {
    ip,
    isBeingDeleted = false,
    labels = { app: "llmperf-agent" },
    name,
    phase = "Running",
    ready = true
  } = options
  const condition = (type: string, holds: boolean) => ({
    type,
    status: holds ? "True" : "False",
    lastTransitionTime: moment
  })
  return {
    metadata: {
      name,
      namespace: "load",
      uid,
      labels: { ...labels },
      creationTimestamp: moment,
      ...(isBeingDeleted ? { deletionTimestamp: moment, deletionGracePeriodSeconds: 30 } : {})
    },
    spec: {
      nodeName: "node-1",
      containers: [
        { name: "agent", image: "llmperf", args: ["agent"], ports: [{ containerPort: 7070, protocol: "TCP" }] }
      ]
    },
    status: {
      phase,
      conditions: [
        condition("PodReadyToStartContainers", true),
        condition("Initialized", true),
        condition("Ready", ready),
        condition("ContainersReady", ready),
        condition("PodScheduled", true)
      ],
      hostIP: "172.18.0.2",
      ...(ip === null ? {} : { podIP: ip, podIPs: [{ ip }] }),
      startTime: moment,
      qosClass: "Burstable"
    }
  }
}

/** A label selector of equalities, as the API reads it; `null` when it is none. */
const selectorOf = (text: string): ReadonlyArray<readonly [string, string]> | null => {
  const parts = text.split(",").map((part) => /^([\w./-]+)==?([\w.-]*)$/.exec(part.trim()))
  return parts.every((part) => part !== null) ? parts.map(([, name = "", value = ""]) => [name, value] as const) : null
}

const reasons: { readonly [status: number]: string } = {
  400: "BadRequest",
  401: "Unauthorized",
  403: "Forbidden",
  404: "NotFound",
  405: "MethodNotAllowed",
  406: "NotAcceptable",
  500: "InternalError",
  503: "ServiceUnavailable"
}

const answer = (response: ServerResponse, status: number, body: object): void => {
  response.writeHead(status, { "content-type": "application/json", "cache-control": "no-cache, private" })
  response.end(JSON.stringify(body))
}

/** A `Status` (meta/v1). */
const refuse = (response: ServerResponse, code: number, message: string): void =>
  answer(response, code, {
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Failure",
    message,
    reason: reasons[code] ?? "Unknown",
    code
  })

/** What is wrong with a call, as the API would say it. */
const fault = (
  request: IncomingMessage,
  url: URL,
  { namespace, token }: Options
): readonly [status: number, message: string] | null => {
  if (request.headers.authorization !== `Bearer ${token}`) return [401, "Unauthorized"]
  if (request.method !== "GET") return [405, "the server does not allow this method on the requested resource"]
  const other = /^\/api\/v1\/namespaces\/([^/]+)\/pods$/.exec(url.pathname)
  if (other === null) return [404, "the server could not find the requested resource"]
  if (other[1] !== namespace) {
    const who = "system:serviceaccount:load:llmperf"
    return [
      403,
      `pods is forbidden: User "${who}" cannot list resource "pods" in API group "" in the namespace "${other[1]}"`
    ]
  }
  const accepted = request.headers.accept ?? "*/*"
  if (!accepted.split(",").some((one) => ["application/json", "*/*"].includes(one.trim()))) {
    return [406, "only the following media types are accepted: application/json"]
  }
  for (const name of url.searchParams.keys()) {
    if (name !== "fieldSelector" && name !== "labelSelector") return [400, `unknown query parameter "${name}"`]
  }
  const fields = url.searchParams.get("fieldSelector")
  if (fields !== "status.phase=Running") return [400, `unable to parse requirement: field selector "${fields}"`]
  const labels = url.searchParams.get("labelSelector")
  return labels === null || selectorOf(labels) === null
    ? [400, `unable to parse requirement: found '${labels}', expected: identifier`]
    : null
}

/** It ends with the scope. */
export const make = (options: Options): Effect.Effect<Kubernetes, never, Scope.Scope> =>
  Effect.gen(function* () {
    const violations: Array<string> = []
    let pods: ReadonlyArray<Pod> = []
    let broken: number | null = null
    let calls = 0
    const listener: RequestListener = (request, response) => {
      const url = new URL(request.url ?? "/", "http://kubernetes")
      request.resume()
      if (broken !== null) return refuse(response, broken, "etcdserver: request timed out")
      const wrong = fault(request, url, options)
      if (wrong !== null) {
        violations.push(`${request.method} ${request.url}: ${wrong.join(" ")}`)
        return refuse(response, ...wrong)
      }
      calls++
      const selector = selectorOf(url.searchParams.get("labelSelector") ?? "") ?? []
      const items = pods.filter(
        ({ metadata, status }) =>
          status?.phase === "Running" && selector.every(([name, value]) => metadata?.labels?.[name] === value)
      )
      return answer(response, 200, { kind: "PodList", apiVersion: "v1", metadata: { resourceVersion: "4711" }, items })
    }
    const { identity } = options
    const server = identity === undefined ? createServer(listener) : createSecureServer({ ...identity }, listener)
    const port = yield* Effect.acquireRelease(
      Effect.callback<number>((resume) => {
        server.listen(0, "127.0.0.1", () => {
          const address = server.address()
          resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0))
        })
      }),
      () =>
        Effect.sync(() => {
          server.closeAllConnections()
          server.close()
        })
    )
    return {
      url: `${identity === undefined ? "http" : "https"}://127.0.0.1:${port}`,
      calls: () => calls,
      violations,
      set: (next) => {
        pods = next
      },
      breakDown: (status) => {
        broken = status
      }
    }
  })
