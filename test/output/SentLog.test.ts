import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Runtime from "effect/Runtime"
import * as fc from "fast-check"
import * as SentLog from "../../src/output/SentLog.ts"
import { failure, record } from "../metrics/records.ts"
import { layerChanged, systemFailure } from "./failingFiles.ts"

const inTemporary = <A, E, R>(use: (file: string) => Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    return yield* use(path.join(yield* fs.makeTempDirectoryScoped(), "requests_sent.log"))
  }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))

const sent = record({
  request_id: 17,
  intended_offset_s: 1.25,
  sent_offset_s: 1.250_412_345_678,
  dispatch_lag_s: 0.000_412_345_678,
  end_offset_s: 3.000_000_499,
  start_time: 1_764_000_000.25,
  end_time: 1_764_000_002.000_499,
  scheduled_ttft_s: 0.123_456_789,
  scheduled_end_to_end_latency_s: 1.750_000_499
})

describe("SentLog.line", () => {
  it("has LLMPerf's keys in its order, then ours", () => {
    assert.strictEqual(
      SentLog.line(sent),
      '{"request_id":17,"scheduled_offset_s":1.25,"dispatch_offset_s":1.250412,"dispatch_lag_s":0.000412,' +
        '"dispatch_ts_utc":"2025-11-24T16:00:00.250Z","response_offset_s":3,' +
        '"response_ts_utc":"2025-11-24T16:00:02.000Z","status":200,"error_code":null,"error_reason":null,' +
        '"input_tokens":50,"output_tokens":10,"scheduled_ttft_s":0.123457,"scheduled_end_to_end_latency_s":1.75}'
    )
  })

  it("marks requests that are not measured, in the last key", () => {
    const line = SentLog.line({ ...sent, sampled: false })
    assert.strictEqual(line, `${SentLog.line(sent).slice(0, -1)},"unsampled":true}`)
  })

  it("tells why a request failed", () => {
    const parsed = JSON.parse(SentLog.line(failure(429, "RateLimited", "slow down", { start_time: 0 })))
    assert.strictEqual(parsed.status, 429)
    assert.strictEqual(parsed.error_code, 429)
    assert.strictEqual(parsed.error_reason, "RateLimited")
    assert.strictEqual(parsed.response_offset_s, 0.5)
    assert.strictEqual(parsed.dispatch_ts_utc, "1970-01-01T00:00:00.000Z")
  })

  it("has null for what never happened", () => {
    const never = failure("connect_error", "Connect", "refused", {
      status: null,
      intended_offset_s: 2,
      start_time: null,
      sent_offset_s: null,
      dispatch_lag_s: null,
      end_offset_s: 2.5,
      end_to_end_latency_s: null,
      scheduled_end_to_end_latency_s: null
    })
    assert.deepStrictEqual(JSON.parse(SentLog.line(never)), {
      request_id: 1,
      scheduled_offset_s: 2,
      dispatch_offset_s: null,
      dispatch_lag_s: null,
      dispatch_ts_utc: null,
      response_offset_s: null,
      response_ts_utc: null,
      status: null,
      error_code: "connect_error",
      error_reason: "Connect",
      input_tokens: 50,
      output_tokens: 0,
      scheduled_ttft_s: null,
      scheduled_end_to_end_latency_s: null
    })
  })

  it("is within half a microsecond and half a millisecond of the record", () => {
    const offset = fc.double({ min: 0, max: 100_000, noNaN: true })
    fc.assert(
      fc.property(offset, fc.double({ min: 0, max: 100, noNaN: true }), (due, lag) => {
        const at = 1_764_000_000 + due + lag
        const { dispatch_lag_s, dispatch_offset_s, dispatch_ts_utc, scheduled_offset_s } = JSON.parse(
          SentLog.line(
            record({ intended_offset_s: due, sent_offset_s: due + lag, dispatch_lag_s: lag, start_time: at })
          )
        )
        assert.closeTo(scheduled_offset_s, due, 5.1e-7)
        assert.closeTo(dispatch_offset_s, due + lag, 5.1e-7)
        assert.closeTo(dispatch_lag_s, lag, 5.1e-7)
        assert.closeTo(Date.parse(dispatch_ts_utc) / 1000, at, 0.000_501)
        assert.match(dispatch_ts_utc, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
        assert.match(String(dispatch_lag_s), /^(\d+(\.\d{1,6})?|\de-[56])$/)
      })
    )
  })
})

describe("SentLog.makeWriter", () => {
  it.effect("appends a line per request, in the order in which they end", () =>
    inTemporary((file) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const records = Array.from({ length: 300 }, (_, i) => record({ request_id: 300 - i, sampled: i % 2 === 0 }))
        yield* Effect.scoped(
          Effect.gen(function* () {
            const log = yield* SentLog.makeWriter(file)
            for (const each of records) log.append(each)
            assert.strictEqual(yield* log.close, 300)
            assert.strictEqual(log.written(), 300)
          })
        )
        assert.strictEqual(yield* fs.readFileString(file), records.map((each) => `${SentLog.line(each)}\n`).join(""))
      })
    )
  )

  it.effect("tells when the disk is full", () =>
    inTemporary((file) =>
      Effect.gen(function* () {
        const log = yield* SentLog.makeWriter(file)
        log.append(record())
        const error = yield* Effect.flip(log.failure)
        assert.include(error.message, "no space is left on the disk")
        assert.include(error.message, "requests_sent.log")
        assert.strictEqual(Runtime.getErrorExitCode(error), 3)
        assert.strictEqual(yield* Effect.flip(log.close), error)
      }).pipe(
        Effect.scoped,
        Effect.provide(
          layerChanged((fs) => ({
            open: (path, options) =>
              Effect.map(
                fs.open(path, options),
                (opened): FileSystem.File =>
                  new Proxy(opened, {
                    get: (target, key) =>
                      key === "writeAll" ? () => Effect.fail(systemFailure("ENOSPC")) : Reflect.get(target, key, target)
                  })
              )
          }))
        )
      )
    )
  )
})
