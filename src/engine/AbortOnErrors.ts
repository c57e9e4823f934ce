/**
 * When a run ends early because requests fail: a server that refuses everything need not be asked thousands of times.
 *
 * @since 0.2.0
 */
import { type ErrorGroup } from "../domain/Summary.ts"

/**
 * - `Permanent`: so many requests in a row have failed for the same reason that does not pass by itself (401, 403, 404, connection
 *   refused), and none has succeeded
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

/** Statuses of a server that will say the same next time. */
const permanentStatuses: ReadonlySet<unknown> = new Set([401, 403, 404])

const isPermanent = ({ code, example, reason }: ErrorGroup): boolean =>
  reason === "HttpStatus" ? permanentStatuses.has(code) : reason === "Connect" && /\bECONNREFUSED\b/.test(example)

/**
 * Watches requests end: give it all that have, in their order as far as it is known. It says whether the run is to be ended.
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = (policy: Policy): ((ended: Ended) => boolean) => {
  let succeeded = 0
  let failed = 0
  let inARow = 0
  /** The reason of the last ones, which is the same for `sameInARow` of them. */
  let reason: string | null = null
  let sameInARow = 0

  const takeDown = ({ completed, errors }: Ended): void => {
    const failures = errors.filter((group) => group.reason !== "Cancelled")
    const count = failures.reduce((sum, group) => sum + group.count, 0)
    succeeded += completed
    failed += count
    inARow = completed > 0 ? 0 : inARow + count
    const [only, ...others] = failures
    if (only === undefined) return
    const isSame = others.length === 0 && isPermanent(only)
    const key = isSame ? `${only.reason} ${only.code}` : null
    sameInARow = key === null ? 0 : key === reason ? sameInARow + count : count
    reason = key
  }

  return (ended) => {
    takeDown(ended)
    switch (policy._tag) {
      case "Permanent":
        return succeeded === 0 && sameInARow >= policy.count
      case "InARow":
        return inARow >= policy.count
      case "Share":
        return succeeded + failed >= policy.least && failed / (succeeded + failed) > policy.share
      case "Never":
        return false
    }
  }
}
