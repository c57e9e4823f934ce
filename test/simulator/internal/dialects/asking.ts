import { assert } from "@effect/vitest"
import {
  type Asked,
  type ContentKind,
  type Dialect,
  type Ending,
  type Identity,
  isAnswer,
  type Reason
} from "../../../../src/simulator/internal/dialect.ts"
import { type Answer } from "../../../../src/simulator/internal/refusal.ts"

export const identity: Identity = { promptTokens: 25, ordinal: 7, model: "sim", createdSeconds: 1_700_000_000 }

export const endingOf = (reason: Reason, reasoningTokens = 0): Ending => ({
  reason,
  promptTokens: 25,
  completionTokens: 4,
  reasoningTokens
})

export const incoming = (path: string, body: object | string, headers: { readonly [name: string]: string } = {}) => ({
  method: "POST",
  path: path.replace(/\?.*$/, ""),
  query: new URLSearchParams(/\?(.*)$/.exec(path)?.[1] ?? ""),
  headers,
  body: Buffer.from(typeof body === "string" ? body : JSON.stringify(body))
})

/** Reads a request that must be good. */
export const asked = (read: Asked | Answer): Asked => {
  if (isAnswer(read)) return assert.fail(read.body)
  return read
}

/** Reads a request that must be refused. */
export const refused = (read: Asked | Answer): Answer => {
  if (!isAnswer(read)) return assert.fail("the request was taken")
  return read
}

/** A good stream from its opening to its end, as text. */
export const stream = (
  dialect: Dialect,
  request: Asked,
  contents: ReadonlyArray<readonly [kind: ContentKind, text: string]>,
  ending: Ending
): string => {
  const frames = dialect.frames(request, identity)
  return [frames.opening(), ...contents.map(([kind, text]) => frames.content(kind, text)), frames.finish(ending)].join(
    ""
  )
}

/** The events of a stream; each must carry its own type as its name. */
export const eventsOf = (text: string): ReadonlyArray<{ readonly type: string; readonly [field: string]: unknown }> =>
  text
    .split("\n\n")
    .slice(0, -1)
    .map((event) => {
      const [name = "", data = "", ...rest] = event.split("\n")
      assert.strictEqual(rest.length, 0)
      const value = JSON.parse(data.replace(/^data: /, ""))
      assert.strictEqual(name, `event: ${value.type}`)
      return value
    })
