import { assert, describe, it } from "@effect/vitest"
import type { ContentKind, TokenEvent } from "../../src/domain/TokenEvent.ts"
import * as RequestSink from "../../src/metrics/RequestSink.ts"
import * as Scripted from "../engine/scriptedProvider.ts"

const content = (kind: ContentKind, ...text: ReadonlyArray<string>): TokenEvent => ({
  _tag: "Content",
  kind,
  at: text.map(() => 1),
  text
})

const answerOf = (...events: ReadonlyArray<TokenEvent>): string => {
  const measurement = RequestSink.makeMeasurement(Scripted.plan(1), 0)
  for (const event of events) RequestSink.add(measurement, event)
  return RequestSink.answerOf(measurement)
}

describe("RequestSink.answerOf", () => {
  it("is the text without reasoning and tools, wherever they stand", () => {
    assert.strictEqual(answerOf(), "")
    assert.strictEqual(answerOf(content("reasoning", "it is", " 7")), "")
    assert.strictEqual(answerOf(content("text", "4", "2"), content("text", "!")), "42!")
    assert.strictEqual(
      answerOf(
        content("reasoning", "first 1"),
        content("reasoning", ", then 2"),
        content("text", "It is ", "3"),
        content("reasoning", "or 4?"),
        content("text", "."),
        content("tool", '{"n":5}')
      ),
      "It is 3."
    )
  })

  it("is the whole text of an API that does not stream", () => {
    assert.strictEqual(answerOf({ _tag: "Whole", at: 1, text: "42" }), "42")
  })

  it("leaves out what came before the request was written again", () => {
    const sent: TokenEvent = { _tag: "Sent", at: 1, connection: null }
    assert.strictEqual(answerOf(sent, content("reasoning", "x"), content("text", "1"), sent, content("text", "2")), "2")
  })
})
