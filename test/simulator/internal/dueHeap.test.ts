import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "fast-check"
import * as dueHeap from "../../../src/simulator/internal/dueHeap.ts"

describe("dueHeap", () => {
  it("gives the earliest first, and equal moments in the order they were added, whatever is added in between", () => {
    const actions = FastCheck.array(FastCheck.option(FastCheck.integer({ min: 0, max: 20 })), { maxLength: 200 })
    FastCheck.assert(
      FastCheck.property(actions, (moments) => {
        const heap = dueHeap.make<dueHeap.Due & { readonly name: number }>()
        const model: Array<{ readonly due: number; readonly name: number }> = []
        moments.forEach((due, name) => {
          if (due === null) {
            assert.strictEqual(heap.peek()?.name, model[0]?.name)
            assert.strictEqual(heap.pop()?.name, model.shift()?.name)
          } else {
            heap.push({ dueNanos: due, order: 0, name })
            model.push({ due, name })
            model.sort((a, b) => a.due - b.due || a.name - b.name)
          }
        })
        for (const expected of model) assert.strictEqual(heap.pop()?.name, expected.name)
        assert.isUndefined(heap.pop())
      })
    )
  })

  it("keeps the order of what it retains, and of what is added after", () => {
    const moments = FastCheck.array(FastCheck.integer({ min: 0, max: 20 }), { maxLength: 60 })
    FastCheck.assert(
      FastCheck.property(moments, moments, FastCheck.func(FastCheck.boolean()), (before, after, keep) => {
        const heap = dueHeap.make<dueHeap.Due & { readonly name: number }>()
        before.forEach((dueNanos, name) => heap.push({ dueNanos, order: 0, name }))
        heap.retain(({ name }) => keep(name))
        after.forEach((dueNanos, i) => heap.push({ dueNanos, order: 0, name: before.length + i }))
        const expected = [...before, ...after]
          .map((due, name) => ({ due, name }))
          .filter(({ name }) => name >= before.length || keep(name))
          .toSorted((a, b) => a.due - b.due || a.name - b.name)
        assert.strictEqual(heap.size(), expected.length)
        for (const { name } of expected) assert.strictEqual(heap.pop()?.name, name)
        assert.strictEqual(heap.size(), 0)
      })
    )
  })
})
