import { NodeServices } from "@effect/platform-node"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Fields } from "../../src/domain/Fields.ts"
import * as Export from "../../src/output/Export.ts"
import type * as RunReader from "../../src/output/RunReader.ts"
import { outcomes } from "./results.ts"

/** Records of all kinds, with texts that are hard on every format. */
export const records: ReadonlyArray<Fields> = outcomes.map(({ record }, index) => ({
  ...record,
  error_msg: index === 3 ? 'a,"b"\r\nc;\t\u0000 🦜 é \\n' : record.error_msg,
  usage_input_tokens: index === 4 ? Number.MAX_SAFE_INTEGER : record.usage_input_tokens,
  ttft_s: index === 5 ? 1.5e-7 : record.ttft_s,
  sampled: index !== 6
}))

export const run = (given: ReadonlyArray<Fields>, summary: Fields = {}): RunReader.FinishedRun => ({
  path: "here",
  summary,
  summarized: Object.keys(summary).length > 0,
  manifest: null,
  records: Stream.fromIterable(given)
})

/** The whole of what is written. */
export const bytes = (given: RunReader.FinishedRun, format: Export.Format) =>
  Export.encode(given, format).pipe(
    Stream.runCollect,
    Effect.map((pieces) => new Uint8Array(Buffer.concat(pieces))),
    Effect.provide(NodeServices.layer)
  )

export const text = (given: RunReader.FinishedRun, format: Export.Format) =>
  Effect.map(bytes(given, format), (whole) => new TextDecoder().decode(whole))

export const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "llmperf-export-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)
