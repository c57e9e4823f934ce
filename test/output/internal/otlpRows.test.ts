import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import * as Rows from "../../../src/output/internal/otlpRows.ts"
import { failure, record } from "../../metrics/records.ts"

describe("rows", () => {
  it("come out as they went in", () => {
    const text = fc.option(fc.string({ maxLength: 20 }))
    const number = fc.option(fc.double({ noNaN: true, noDefaultInfinity: true }))
    const overrides = fc.record({
      request_id: fc.nat(),
      ttft_s: number,
      end_time: number,
      usage_output_tokens: fc.option(fc.nat()),
      x_request_id: text,
      finish_reason: text,
      error_code: fc.option(fc.oneof(fc.integer(), fc.string({ maxLength: 20 }))),
      sampled: fc.boolean()
    })
    fc.assert(
      fc.property(fc.array(overrides, { maxLength: 40 }), (all) => {
        const rows = Rows.rows(Rows.pack(all.map(record)))
        assert.lengthOf(rows, all.length)
        for (const [i, one] of all.entries()) {
          const row = rows[i]
          assert.strictEqual(row?.number("request_id"), one.request_id)
          assert.strictEqual(row?.number("ttft_s"), one.ttft_s)
          assert.strictEqual(row?.number("end_time"), one.end_time)
          assert.strictEqual(row?.number("usage_output_tokens"), one.usage_output_tokens)
          assert.strictEqual(row?.text("x_request_id"), one.x_request_id === "" ? null : one.x_request_id)
          assert.strictEqual(row?.text("finish_reason"), one.finish_reason === "" ? null : one.finish_reason)
          const code = one.error_code === null || one.error_code === "" ? null : String(one.error_code)
          assert.strictEqual(row?.text("error_code"), code)
          assert.strictEqual(row?.sampled, one.sampled)
        }
      })
    )
  })

  it("have a text once, and long ones cut", () => {
    const page = "<html>".repeat(1_000)
    const packed = Rows.pack(
      Array.from({ length: 8 }, (_, i) => failure(503, "HttpStatus", page, { x_request_id: `run-${i + 1}` }))
    )
    assert.lengthOf(packed.texts, 8 + 3)
    assert.strictEqual(Rows.rows(packed)[7]?.text("error_msg"), page.slice(0, 1_024))
    assert.strictEqual(Rows.rows(packed)[7]?.text("x_request_id"), "run-8")
  })

  it("go over to another thread", () => {
    const packed = Rows.pack([record({ request_id: 1 })])
    const there = structuredClone(packed, { transfer: [packed.numbers.buffer] })
    assert.strictEqual(Rows.rows(there)[0]?.number("request_id"), 1)
    assert.strictEqual(Rows.rows(there)[0]?.text("finish_reason"), "stop")
    assert.lengthOf(packed.numbers, 0)
  })
})
