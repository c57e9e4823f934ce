import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { type ContentKind, type TokenEvent, type Usage } from "../../../src/domain/TokenEvent.ts"
import * as RequestSink from "../../../src/metrics/RequestSink.ts"
import { EventBuffer } from "../../../src/provider/wire/EventBuffer.ts"
import { plan } from "../asking.ts"

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

  describe("usage in every chunk", () => {
    const usage = (at: number, outputTokens: number): Usage => ({
      _tag: "Usage",
      at,
      inputTokens: 1,
      outputTokens,
      cachedInputTokens: null,
      reasoningTokens: null
    })

    it("is kept of the first and of the last chunk, and of the end", () => {
      const buffer = new EventBuffer()
      buffer.usage(usage(1, 0))
      for (const [at, tokens] of [
        [2, 3],
        [4, 5],
        [6, 6],
        [8, 9]
      ] as const) {
        buffer.content("text", `${at}`, at)
        buffer.usage(usage(at, tokens))
      }
      buffer.usage(usage(9, 10))
      buffer.push(ended(9))
      assert.deepStrictEqual(buffer.take(), [
        { _tag: "Content", kind: "text", at: [2, 4], text: ["2", "4"] },
        usage(2, 3),
        { _tag: "Content", kind: "text", at: [6, 8], text: ["6", "8"] },
        usage(8, 9),
        usage(9, 10),
        ended(9)
      ])
      assert.isUndefined(buffer.take())
    })

    it("is never empty-handed: what there is of it is given with the next that are taken", () => {
      const buffer = new EventBuffer()
      buffer.usage(usage(1, 1))
      assert.isFalse(buffer.isEmpty)
      assert.deepStrictEqual(buffer.take(), [usage(1, 1)])
      assert.isTrue(buffer.isEmpty)
    })

    it("leaves to a request what it needs, wherever it is taken", () => {
      fc.assert(
        fc.property(
          fc.array(fc.record({ tokens: fc.integer({ min: 1, max: 5 }), take: fc.boolean(), gap: fc.nat(2) }), {
            minLength: 1,
            maxLength: 20
          }),
          (chunks) => {
            const buffer = new EventBuffer()
            const measurement = RequestSink.makeMeasurement(plan, 0)
            const take = (): void => {
              for (const event of buffer.take() ?? []) RequestSink.add(measurement, event)
            }
            let at = 10
            let tokens = 0
            const counts: Array<readonly [at: number, tokens: number]> = []
            for (const chunk of chunks) {
              at += chunk.gap
              tokens += chunk.tokens
              counts.push([at, tokens])
              buffer.content("text", "x", at)
              buffer.usage(usage(at, tokens))
              if (chunk.take) take()
            }
            buffer.usage(usage(at + 1, tokens + 1))
            take()
            const [first] = counts[0] ?? [0]
            assert.strictEqual(measurement.firstUsageTokens, counts.findLast(([moment]) => moment === first)?.[1])
            assert.strictEqual(measurement.lastUsageTokens, tokens)
            assert.strictEqual(measurement.usage?.outputTokens, tokens + 1)
            assert.strictEqual(measurement.chunkAt.length, chunks.length)
          }
        )
      )
    })
  })
})
