import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import { RequestRecord } from "../../src/domain/RequestRecord.ts"
import { Summary } from "../../src/domain/Summary.ts"

const read = (name: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    return yield* fs.readFileString(path.join(import.meta.dirname, "..", "..", "docs", name))
  }).pipe(Effect.provide(NodeServices.layer))

/** The text between two headings. */
const section = (text: string, from: string, to: string): string => text.slice(text.indexOf(from), text.indexOf(to))

const assertInOrder = (text: string, keys: ReadonlyArray<string>): void => {
  let last = -1
  for (const key of keys) {
    const at = text.search(new RegExp(`\`${key}[\`_]`))
    assert.isAbove(at, last, key)
    last = at
  }
}

describe("docs/results.md", () => {
  it.effect("names every key of a record, in order", () =>
    Effect.gen(function* () {
      const text = section(yield* read("results.md"), "Keys of a record", "## `…_summary.json`")
      assertInOrder(text, Object.keys(RequestRecord.fields))
    })
  )

  it.effect("names every result of the summary, in order", () =>
    Effect.gen(function* () {
      const text = section(yield* read("results.md"), "4. LLMPerf's results", "6. more about the run")
      assertInOrder(text, Object.keys(Summary.fields))
    })
  )
})

describe("docs/metrics.md", () => {
  it.effect("defines every result of the summary", () =>
    Effect.gen(function* () {
      const text = yield* read("metrics.md")
      for (const key of Object.keys(Summary.fields)) assert.include(text, `\`${key}\``)
    })
  )
})
