import { assert, describe, it } from "@effect/vitest"
import * as AbortOnErrors from "../../src/engine/AbortOnErrors.ts"

const group = (reason: string, code: number | string, example = "", count = 1) => ({ reason, code, count, example })
const unauthorized = (count = 1) => ({ completed: 0, errors: [group("HttpStatus", 401, "HTTP 401", count)] })
const refused = { completed: 0, errors: [group("Connect", "connect_error", "connect ECONNREFUSED 127.0.0.1:1")] }
const reset = { completed: 0, errors: [group("Connect", "connect_error", "read ECONNRESET")] }
const busy = { completed: 0, errors: [group("RateLimited", 429)] }
const cancelled = { completed: 0, errors: [group("Cancelled", "cancelled")] }
const good = { completed: 1, errors: [] }

/** After how many of these it is to end; `null` when it goes on. */
const endsAfter = (policy: AbortOnErrors.Policy, ended: ReadonlyArray<AbortOnErrors.Ended>): number | null => {
  const watch = AbortOnErrors.make(policy)
  const index = ended.findIndex((each) => watch(each) !== null)
  return index < 0 ? null : index + 1
}

const times = <A>(count: number, of: A): ReadonlyArray<A> => Array.from({ length: count }, () => of)

describe("by default", () => {
  const ends = (...ended: ReadonlyArray<AbortOnErrors.Ended>) => endsAfter(AbortOnErrors.defaultPolicy, ended)

  it("ends when 50 in a row fail for the same reason that does not pass", () => {
    assert.isNull(ends(...times(49, unauthorized())))
    assert.strictEqual(ends(...times(60, unauthorized())), 50)
    assert.strictEqual(ends(...times(60, refused)), 50)
    for (const code of [403, 404]) {
      assert.strictEqual(ends(...times(60, { completed: 0, errors: [group("HttpStatus", code)] })), 50)
    }
  })

  it("goes on when one has succeeded, or the reason may pass", () => {
    assert.isNull(ends(good, ...times(100, unauthorized())))
    assert.isNull(ends(...times(49, unauthorized()), good, ...times(100, unauthorized())))
    assert.isNull(ends(...times(100, busy)))
    assert.isNull(ends(...times(100, reset)))
    assert.isNull(ends(...times(100, { completed: 0, errors: [group("HttpStatus", 500)] })))
  })

  it("ends when no answer is of the API that was asked", () => {
    const foreign = { completed: 0, errors: [group("Protocol", 200, "200 without any event of the Responses API")] }
    assert.isNull(ends(...times(49, foreign)))
    assert.isNotNull(ends(...times(50, foreign)))
    assert.isNull(ends({ completed: 1, errors: [] }, ...times(100, foreign)))
  })

  it("ends when the server says the same 400, 405 or 422 of all", () => {
    const invalid = (message: string) => ({ completed: 0, errors: [group("HttpStatus", 400, `HTTP 400: ${message}`)] })
    assert.strictEqual(ends(...times(60, invalid("Invalid model name passed in model=gpt-4o-2024-08-06"))), 50)
    assert.strictEqual(
      ends(...Array.from({ length: 60 }, (_, n) => invalid(`no such key (request 0f8fad5b-d9cb-469f-a165-${n})`))),
      50
    )
    for (const code of [405, 422]) {
      assert.strictEqual(ends(...times(60, { completed: 0, errors: [group("HttpStatus", code)] })), 50)
    }
    assert.isNull(ends(...Array.from({ length: 100 }, (_, n) => invalid(`${2_048 + n} tokens are too many`))))
    assert.isNull(ends(good, ...times(100, invalid("no such key"))))
    assert.isNull(ends(...times(100, { completed: 0, errors: [group("RateLimited", 400, "HTTP 400")] })))
  })

  it("begins anew at another reason", () => {
    assert.strictEqual(ends(...times(30, unauthorized()), busy, ...times(60, unauthorized())), 81)
    assert.strictEqual(ends(...times(30, unauthorized()), ...times(60, refused)), 80)
  })

  it("counts what it is told of at once", () => {
    assert.strictEqual(ends(unauthorized(49), unauthorized(3)), 2)
    assert.isNull(ends({ completed: 1, errors: unauthorized(60).errors }))
    assert.isNull(ends(...times(10, { completed: 0, errors: [...unauthorized(20).errors, ...busy.errors] })))
  })

  it("counts nowhere what was cancelled", () => {
    assert.strictEqual(ends(...times(49, unauthorized()), cancelled, unauthorized()), 51)
  })
})

it("gives the limit that was reached", () => {
  const permanent = AbortOnErrors.make({ _tag: "Permanent", count: 2 })
  assert.isNull(permanent(busy))
  assert.isNull(permanent(unauthorized()))
  assert.deepStrictEqual(permanent(unauthorized()), {
    policy: { _tag: "Permanent", count: 2 },
    failed: 2,
    ended: 3,
    same: group("HttpStatus", 401, "HTTP 401")
  })
  const share = AbortOnErrors.make({ _tag: "Share", share: 0.1, least: 4 })
  for (const each of [good, good, good]) assert.isNull(share(each))
  assert.deepStrictEqual(share(busy), {
    policy: { _tag: "Share", share: 0.1, least: 4 },
    failed: 1,
    ended: 4,
    same: null
  })
})

describe("otherwise", () => {
  it("ends after so many failures in a row, whatever they are", () => {
    const policy = { _tag: "InARow", count: 3 } as const
    assert.strictEqual(endsAfter(policy, [busy, reset, unauthorized()]), 3)
    assert.strictEqual(endsAfter(policy, [good, busy, busy, good, busy, busy, busy]), 7)
    assert.isNull(endsAfter(policy, [busy, busy, cancelled, good, busy]))
  })

  it("ends above a share, once there are enough", () => {
    const policy = { _tag: "Share", share: 0.1, least: 20 } as const
    assert.isNull(endsAfter(policy, times(19, busy)))
    assert.strictEqual(endsAfter(policy, times(30, busy)), 20)
    assert.isNull(endsAfter(policy, [...times(18, good), busy, busy]))
    assert.strictEqual(endsAfter(policy, [...times(18, good), busy, busy, busy]), 21)
    assert.isNull(endsAfter(policy, [...times(20, good), ...times(100, cancelled)]))
  })

  it("never ends", () => {
    assert.isNull(endsAfter({ _tag: "Never" }, times(1_000, unauthorized())))
  })
})
