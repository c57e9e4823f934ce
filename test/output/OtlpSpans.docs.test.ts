import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { RequestRecord } from "../../src/domain/RequestRecord.ts"
import * as Rows from "../../src/output/internal/otlpRows.ts"
import * as Span from "../../src/output/internal/otlpSpan.ts"
import { record } from "../metrics/records.ts"

const text = readFileSync(new URL("../../docs/opentelemetry.md", import.meta.url), "utf8")

/** A record in which nothing is unknown. */
const everything: RequestRecord = {
  ...record({
    error_code: 500,
    error_msg: "broken",
    error_reason: "HttpStatus",
    dns_s: 0.001,
    connect_s: 0.001,
    tls_s: 0.001,
    connection_retry_s: 0.001,
    usage_input_tokens: 1,
    usage_output_tokens: 1,
    usage_cached_input_tokens: 1,
    usage_reasoning_tokens: 1,
    retry_after_s: 1
  })
}

const subject: Span.Subject = {
  runId: "run",
  agent: "agent",
  version: "0",
  llmApi: "openai",
  model: "m",
  provider: "openai",
  operation: "chat",
  origin: "http://127.0.0.1:8000",
  streams: true,
  samplingParams: {
    temperature: 0,
    top_p: 1,
    top_k: 1,
    seed: 1,
    frequency_penalty: 0,
    presence_penalty: 0,
    stop: ["a"]
  },
  resource: {}
}

const keys = Rows.rows(Rows.pack([everything])).flatMap((row) =>
  Span.ofRequest(subject)(row).attributes.map(({ key }) => key)
)

describe("docs/opentelemetry.md", () => {
  it("names every attribute of a span, and no other", () => {
    const [, section = ""] = /\n## Spans\n([\s\S]*?)\n### /.exec(text) ?? []
    const table = section.slice(section.indexOf("| attribute"))
    const named = [...table.matchAll(/`((gen_ai|llmperf|server|http|error)\.[\w.]+)`/g)].map(([, name = ""]) => name)
    assert.deepStrictEqual([...new Set(named)].toSorted(), [...new Set(keys)].toSorted())
  })

  it("speaks of columns that there are", () => {
    const columns = Object.keys(RequestRecord.fields)
    const ofOurs = keys.flatMap((key) => (/^llmperf\.(?!run_id$)(.*)$/.exec(key) ?? []).slice(1))
    assert.isAbove(ofOurs.length, 15)
    for (const column of ofOurs) assert.include(columns, column)
  })

  it("has the ids that there are", () => {
    const [, name = "", trace] = /printf %s (\S+) \| sha256sum \| cut -c1-32 {3}# (\w+)/.exec(text) ?? []
    const [, runId = "", id] = /^(.*)-(\d+)$/.exec(name) ?? []
    const [row] = Rows.rows(Rows.pack([record({ request_id: Number(id) })]))
    assert.strictEqual(row && Span.ofRequest({ ...subject, runId })(row).traceId, trace)
  })
})
