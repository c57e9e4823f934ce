import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { type ContentKind, type TokenEvent } from "../../../src/domain/TokenEvent.ts"
import { EventBuffer } from "../../../src/provider/wire/EventBuffer.ts"

const ended = (at: number): TokenEvent => ({ _tag: "Ended", at })

type Step = { readonly kind: ContentKind; readonly text: string } | { readonly other: true } | { readonly take: true }

const steps = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        kind: fc.constantFrom<ContentKind>("text", "reasoning", "tool"),
        text: fc.constantFrom("", "a", "b", "é")
      })
    },
    { weight: 1, arbitrary: fc.constant({ other: true } as const) },
    { weight: 1, arbitrary: fc.constant({ take: true } as const) }
  ),
  { maxLength: 30 }
)

describe("EventBuffer", () => {
  it("is empty until something is put into it, and after it was emptied", () => {
    const buffer = new EventBuffer()
    assert.isUndefined(buffer.take())
    buffer.content("text", "", 1)
    assert.isUndefined(buffer.take())
    buffer.content("text", "a", 1)
    assert.deepStrictEqual(buffer.take(), [{ _tag: "Content", kind: "text", at: [1], text: ["a"] }])
    assert.isUndefined(buffer.take())
  })

  it("joins what follows of one kind, and leaves alone what was taken", () => {
    const buffer = new EventBuffer()
    buffer.content("reasoning", "a", 1)
    buffer.content("reasoning", "b", 2)
    buffer.content("text", "c", 3)
    const first = buffer.take()
    buffer.content("text", "d", 4)
    buffer.push(ended(5))
    buffer.content("text", "e", 6)
    assert.deepStrictEqual(first, [
      { _tag: "Content", kind: "reasoning", at: [1, 2], text: ["a", "b"] },
      { _tag: "Content", kind: "text", at: [3], text: ["c"] }
    ])
    assert.deepStrictEqual(buffer.take(), [
      { _tag: "Content", kind: "text", at: [4], text: ["d"] },
      ended(5),
      { _tag: "Content", kind: "text", at: [6], text: ["e"] }
    ])
  })

  it("keeps everything in order, in as few events as can be, whenever it is emptied", () => {
    fc.assert(
      fc.property(steps, (steps: ReadonlyArray<Step>) => {
        const buffer = new EventBuffer()
        const batches: Array<ReadonlyArray<TokenEvent>> = []
        const expected: Array<string> = []
        const take = (): void => {
          const batch = buffer.take()
          if (batch !== undefined) batches.push(batch)
        }
        for (const [at, step] of steps.entries()) {
          if ("take" in step) take()
          else if ("other" in step) {
            buffer.push(ended(at))
            expected.push(`Ended ${at}`)
          } else {
            buffer.content(step.kind, step.text, at)
            if (step.text !== "") expected.push(`${step.kind} ${step.text} ${at}`)
          }
        }
        take()
        const found = batches.flat().flatMap((event) => {
          if (event._tag !== "Content") return [`${event._tag} ${event.at}`]
          assert.strictEqual(event.at.length, event.text.length)
          assert.isAbove(event.at.length, 0)
          return event.text.map((text, index) => `${event.kind} ${text} ${event.at[index]}`)
        })
        assert.deepStrictEqual(found, expected)
        for (const batch of batches) {
          for (const [index, event] of batch.entries()) {
            const before = batch[index - 1]
            if (event._tag !== "Content" || before?._tag !== "Content") continue
            assert.notStrictEqual(event.kind, before.kind)
          }
        }
      })
    )
  })
})
