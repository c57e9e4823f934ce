import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { Wheel } from "../../../src/simulator/internal/nullWheel.ts"

const ms = 1_000_000

describe("Wheel", () => {
  it("gives everything out once, not before its moment, and in the turn after it", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 10_000 * ms }), { maxLength: 50 }),
        fc.array(fc.integer({ min: 1, max: 6_000 * ms }), { minLength: 1, maxLength: 30 }),
        fc.integer({ min: 0, max: 1e15 }),
        (delays, steps, start) => {
          const wheel = new Wheel<{ dueNanos: number }>(start)
          const waiters = delays.map((delay) => ({ dueNanos: start + delay }))
          for (const waiter of waiters) wheel.add(waiter)
          const out = new Set<object>()
          let now = start
          for (const step of [...steps, 20_000 * ms]) {
            now += step
            wheel.advance(now, (waiter) => {
              assert.isFalse(out.has(waiter))
              assert.isAtMost(waiter.dueNanos, now)
              out.add(waiter)
            })
            // What was due a turn ago is out
            for (const waiter of waiters) if (waiter.dueNanos <= now - ms) assert.isTrue(out.has(waiter))
            assert.strictEqual(wheel.size, waiters.length - out.size)
          }
          assert.strictEqual(out.size, waiters.length)
        }
      )
    )
  })

  it("takes back what it has just given out", () => {
    const wheel = new Wheel<{ dueNanos: number }>(0)
    const waiter = { dueNanos: 3 * ms }
    wheel.add(waiter)
    const at: Array<number> = []
    for (let now = 0; now <= 20 * ms; now += ms) {
      wheel.advance(now, (due) => {
        at.push(now / ms)
        due.dueNanos += 5 * ms
        wheel.add(due)
      })
    }
    assert.deepStrictEqual(at, [3, 8, 13, 18])
  })
})
