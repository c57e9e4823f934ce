/**
 * When a run ends early because requests fail: a server that refuses everything need not be asked thousands of times.
 *
 * @since 0.2.0
 */
import { type ErrorGroup } from "../domain/Summary.ts"

/**
 * - `Permanent`: so many requests in a row have failed for the same reason that does not pass by itself (401, 403, 404, connection
 *   refused, an answer that is none of the API asked; 400, 405 or 422 with the same message), and none has succeeded
 * - `InARow`: so many in a row have failed, for whatever reason
 * - `Share`: more than this share of all requests has failed, once `least` have ended
 * - `Never`: whatever happens, all requests are sent
 *
 * Requests that llmperf cancelled itself count nowhere.
 *
 * @category models
 * @since 0.2.0
 */
export type Policy =
  | { readonly _tag: "Permanent"; readonly count: number }
  | { readonly _tag: "InARow"; readonly count: number }
  | { readonly _tag: "Share"; readonly share: number; readonly least: number }
  | { readonly _tag: "Never" }

/**
 * How many requests it takes unless another number is given.
 *
 * @category constants
 * @since 0.2.0
 */
export const USUAL_COUNT = 50

/**
 * @category constants
 * @since 0.2.0
 */
export const defaultPolicy: Policy = { _tag: "Permanent", count: USUAL_COUNT }

/**
 * Requests that have ended: how many succeeded, and those that did not, by reason. Of several at once the order is not known.
 *
 * @category models
 * @since 0.2.0
 */
export interface Ended {
  readonly completed: number
  readonly errors: ReadonlyArray<ErrorGroup>
}

/**
 * The limit that a run has reached.
 *
 * - `failed`: how many had failed: in a row, or with `Share` in all
 * - `ended`: how many had ended in all, failed or not
 * - `same`: what they all failed with, with `Permanent`
 *
 * @category models
 * @since 0.2.0
 */
export interface Reached {
  readonly policy: Exclude<Policy, { readonly _tag: "Never" }>
  readonly failed: number
  readonly ended: number
  readonly same: ErrorGroup | null
}

/** Statuses of a server that will say the same next time. */
const permanentStatuses: ReadonlySet<unknown> = new Set([401, 403, 404])
/** Those that may be about one request alone: they count where the server says the same of all. */
const statusesOfRequests: ReadonlySet<unknown> = new Set([400, 405, 422])

/** What differs from one answer to the next although it says the same: ids of requests. */
const idOfRequest = /\b(?=[\w-]*\d)[\w-]{16,}/g

/** The same for failures that will go on alike; `null` for those that may pass. */
const permanentKey = ({ code, example, reason }: ErrorGroup): string | null => {
  if (reason === "Connect") return /\bECONNREFUSED\b/.test(example) ? reason : null
  if (reason === "Protocol") return reason
  if (reason !== "HttpStatus") return null
  if (permanentStatuses.has(code)) return `${code}`
  return statusesOfRequests.has(code) ? `${code} ${example.replaceAll(idOfRequest, "")}` : null
}

/**
 * Watches requests end: give it all that have, in their order as far as it is known. It gives the limit at which the run is to be ended, as
 * soon as that is reached.
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = (policy: Policy): ((ended: Ended) => Reached | null) => {
  let succeeded = 0
  let failed = 0
  let inARow = 0
  /** What the last ones failed with, which is the same for `sameInARow` of them. */
  let same: ErrorGroup | null = null
  let key: string | null = null
  let sameInARow = 0

  const takeDown = ({ completed, errors }: Ended): void => {
    const failures = errors.filter((group) => group.reason !== "Cancelled")
    const count = failures.reduce((sum, group) => sum + group.count, 0)
    succeeded += completed
    failed += count
    inARow = completed > 0 ? 0 : inARow + count
    const [only, ...others] = failures
    if (only === undefined) return
    const next = others.length === 0 ? permanentKey(only) : null
    sameInARow = next === null ? 0 : next === key ? sameInARow + count : count
    key = next
    same = only
  }

  return (ended) => {
    takeDown(ended)
    const all = succeeded + failed
    switch (policy._tag) {
      case "Permanent":
        return succeeded === 0 && sameInARow >= policy.count ? { policy, failed: sameInARow, ended: all, same } : null
      case "InARow":
        return inARow >= policy.count ? { policy, failed: inARow, ended: all, same: null } : null
      case "Share":
        return all >= policy.least && failed / all > policy.share ? { policy, failed, ended: all, same: null } : null
      case "Never":
        return null
    }
  }
}
