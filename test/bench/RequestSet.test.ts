import { assert, describe, it } from "@effect/vitest"
import type * as Recorded from "../../bench/internal/Recorded.ts"
import * as RequestSet from "../../bench/internal/RequestSet.ts"
import { record } from "../metrics/records.ts"

const planned: ReadonlyArray<RequestSet.Planned> = [1, 2, 3, 4].map((id) => ({
  due: id / 8,
  inputTokens: 10 * id,
  outputTokens: id
}))

const seenOf = (id: number, other: Partial<Recorded.Request> = {}): Recorded.Request => ({
  rid: `20261124T000000Z-run-${id}`,
  sha256: `body ${id}`,
  bytes: 100,
  asked: id,
  received: 0,
  sent: id,
  ...other
})

const rowOf = (id: number, other: Parameters<typeof record>[0] = {}) =>
  record({
    request_id: id,
    error_code: null,
    number_input_tokens: 10 * id,
    number_output_tokens: id + 1,
    intended_offset_s: id / 8,
    ...other
  })

const ids = [1, 2, 3, 4]
const seen = ids.map((id) => seenOf(id))
const rows = ids.map((id) => rowOf(id))
const reference = RequestSet.make(seen, rows)

const none = { missing: 0, extra: 0, unanswered: 0, otherPlan: 0, otherPrompt: 0, otherAnswer: 0 }

const compare = (
  inServer: ReadonlyArray<Recorded.Request>,
  inResults: ReadonlyArray<ReturnType<typeof rowOf>>
): Partial<RequestSet.Differences> => {
  const { digest, ...counts } = RequestSet.compare(inServer, inResults, planned, reference)
  const same = RequestSet.compare(seen, rows, planned, null).digest
  assert.strictEqual(digest === same, counts.missing + counts.otherPlan + counts.otherPrompt + counts.otherAnswer === 0)
  return counts
}

/** All but one, which is replaced. */
const instead = <A>(all: ReadonlyArray<A>, id: number, ...others: ReadonlyArray<A>): ReadonlyArray<A> =>
  all.flatMap((one, index) => (index + 1 === id ? others : [one]))

describe("RequestSet", () => {
  it("finds nothing in a run that did the same in another order", () => {
    assert.deepStrictEqual(compare(seen.toReversed(), [rowOf(3), rowOf(1), rowOf(4), rowOf(2)]), none)
  })

  it("counts what is missing at the server or in the results", () => {
    assert.deepStrictEqual(compare(instead(seen, 2), rows), { ...none, missing: 1, extra: 1 })
    assert.deepStrictEqual(compare(instead(seen, 2), instead(rows, 2)), { ...none, missing: 1 })
  })

  it("counts what was sent or written twice", () => {
    assert.deepStrictEqual(compare([...seen, seenOf(2)], rows), { ...none, extra: 1 })
    assert.deepStrictEqual(compare(seen, [...rows, rowOf(2)]), { ...none, extra: 1 })
    assert.deepStrictEqual(compare(instead(seen, 2, seenOf(3)), rows), { ...none, missing: 1, extra: 1 })
  })

  it("counts requests that the schedule does not have", () => {
    assert.deepStrictEqual(compare([...seen, seenOf(9)], rows), { ...none, extra: 1 })
  })

  it("counts other bodies and other answers than in the other run", () => {
    assert.deepStrictEqual(compare(instead(seen, 2, seenOf(2, { sha256: "body 3" })), rows), {
      ...none,
      otherPrompt: 1
    })
    assert.deepStrictEqual(compare(seen, instead(rows, 2, rowOf(2, { number_output_tokens: 2 }))), {
      ...none,
      otherAnswer: 1
    })
  })

  it("counts other due times and lengths than in the schedule", () => {
    const changes = [{ intended_offset_s: 2 / 8 + 1e-5 }, { number_input_tokens: 21 }]
    for (const change of changes) {
      assert.deepStrictEqual(compare(seen, instead(rows, 2, rowOf(2, change))), { ...none, otherPlan: 1 })
    }
    assert.deepStrictEqual(compare(instead(seen, 2, seenOf(2, { asked: 3, sent: 3 })), rows), { ...none, otherPlan: 1 })
  })

  it("counts what failed or was cut short", () => {
    assert.deepStrictEqual(compare(instead(seen, 2, seenOf(2, { sent: 1 })), rows), { ...none, unanswered: 1 })
    assert.deepStrictEqual(compare(seen, instead(rows, 2, rowOf(2, { error_code: "Timeout" }))), {
      ...none,
      unanswered: 1
    })
  })
})
