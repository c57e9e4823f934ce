import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { type Pods } from "../ClusterAddress.ts"
import { type Directory, DirectoryError } from "./directory.ts"
import * as Files from "./files.ts"
import { nodeHttp } from "./nodeHttp.ts"

/** How long the API has to answer, in milliseconds. */
const ANSWER_MILLIS = 5_000

/** What is needed of a `PodList` (core/v1), and no more: what is not there yet of one pod must not hide the others. */
const PodList = Schema.Struct({
  kind: Schema.Literal("PodList"),
  items: Schema.Array(
    Schema.Struct({
      metadata: Schema.Struct({
        name: Schema.String,
        deletionTimestamp: Schema.optional(Schema.NullOr(Schema.String))
      }),
      status: Schema.Struct({
        podIP: Schema.optional(Schema.String),
        conditions: Schema.optional(
          Schema.NullOr(Schema.Array(Schema.Struct({ type: Schema.String, status: Schema.String })))
        )
      })
    })
  )
})

type Pod = (typeof PodList.Type)["items"][number]

/** A `Status` (meta/v1): what the API answers when it cannot do what is asked. */
const Status = Schema.Struct({ message: Schema.String })

const isReady = ({ metadata, status }: Pod): boolean =>
  (metadata.deletionTimestamp ?? null) === null &&
  (status.conditions ?? []).some((condition) => condition.type === "Ready" && condition.status === "True")

/** Addresses in the order of their pods: of a stateful set that is 0, 1, 2, …, 10. */
const byName = (one: Pod, other: Pod): number =>
  one.metadata.name.localeCompare(other.metadata.name, "en", { numeric: true })

const adviceFor = (status: number, { labels, namespace }: Pods): string => {
  switch (status) {
    case 401:
      return "The API does not know this account. Is the service account's token mounted, or token-file right?"
    case 403:
      return `The account needs the right to list pods in ${namespace}: see deploy/kubernetes`
    case 404:
      return "Is api the address of a Kubernetes API?"
    default:
      return `Check the labels, "${labels}"`
  }
}

const failed = (problem: string, passes = false) => new DirectoryError({ problem, passes })

/** Agents are the pods of a namespace with some labels that are ready. Pods need not say that they are there: Kubernetes does. */
export const make = Effect.fnUntraced(function* (
  pods: Pods
): Effect.fn.Return<Directory, DirectoryError, Scope.Scope | FileSystem.FileSystem> {
  const fs = yield* FileSystem.FileSystem
  const fileOf = (what: string, path: string | null) =>
    path === null
      ? Effect.succeed(null)
      : Files.read(path).pipe(
          Effect.provideService(FileSystem.FileSystem, fs),
          Effect.mapBoth({
            onSuccess: ({ text }) => text,
            onFailure: () =>
              failed(
                `the ${what} of the Kubernetes API cannot be read from ${path}. Outside a pod, say where the API is: k8s://…&api=http://127.0.0.1:8001 with kubectl proxy`
              )
          })
        )
  const request = HttpClientRequest.get(`${pods.api}/api/v1/namespaces/${pods.namespace}/pods`).pipe(
    HttpClientRequest.setUrlParams({ fieldSelector: "status.phase=Running", labelSelector: pods.labels }),
    HttpClientRequest.acceptJson
  )

  const list = Effect.gen(function* () {
    // By those who look alone: an agent need not be allowed to. Each time anew, because Kubernetes renews them
    const token = yield* fileOf("token", pods.tokenFile)
    const http = nodeHttp(yield* fileOf("certificate", pods.caFile))
    const response = yield* http
      .execute(token === null ? request : HttpClientRequest.bearerToken(request, token.trim()))
      .pipe(
        Effect.timeoutOrElse({
          duration: ANSWER_MILLIS,
          orElse: () => Effect.fail(failed(`the Kubernetes API at ${pods.api} does not answer`, true))
        }),
        Effect.catchTag("HttpClientError", ({ reason }) => {
          const cause = "cause" in reason && reason.cause instanceof Error ? reason.cause.message : reason.message
          return Effect.fail(failed(`the Kubernetes API at ${pods.api} cannot be reached: ${cause}`, true))
        })
      )
    if (response.status !== 200) {
      const { message } = yield* Effect.orElseSucceed(HttpClientResponse.schemaBodyJson(Status)(response), () => ({
        message: "without a reason"
      }))
      return yield* failed(
        `the Kubernetes API at ${pods.api} says ${response.status}: ${message}. ${adviceFor(response.status, pods)}`,
        response.status === 429 || response.status >= 500
      )
    }
    const { items } = yield* Effect.mapError(HttpClientResponse.schemaBodyJson(PodList)(response), () =>
      failed(`what ${pods.api} answers is no list of pods. Is it the address of a Kubernetes API?`)
    )
    return items
      .filter(isReady)
      .toSorted(byName)
      .flatMap(({ status }) => (status.podIP === undefined ? [] : [{ host: status.podIP, port: pods.port }]))
  })
  return { list, announce: () => Effect.void }
})
