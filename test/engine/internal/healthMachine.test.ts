import { assert, describe, it } from "@effect/vitest"
import { parseOpenFiles, parseStat, sharesOf } from "../../../src/engine/internal/healthMachine.ts"

describe("parseStat", () => {
  it("reads the line of all processors", () => {
    assert.deepStrictEqual(parseStat("cpu  10 1 20 100 5 2 3 4 7 8\ncpu0 1 2 3 4 5 6 7 8 9 10\n"), {
      total: 145,
      idle: 105,
      steal: 4
    })
  })

  it("knows what older kernels leave out to be nothing", () => {
    assert.deepStrictEqual(parseStat("cpu 10 0 20 70\n"), { total: 100, idle: 70, steal: 0 })
  })

  it("is nothing of another text", () => {
    assert.isNull(parseStat("cpu0 1 2 3 4"))
    assert.isNull(parseStat(""))
  })
})

describe("sharesOf", () => {
  it("tells busy time from what the host took", () => {
    assert.deepStrictEqual(sharesOf({ total: 1_000, idle: 500, steal: 10 }, { total: 1_100, idle: 550, steal: 20 }), {
      busy: 0.4,
      steal: 0.1
    })
  })

  it("knows nothing of the host where the system does not say", () => {
    assert.deepStrictEqual(sharesOf({ total: 0, idle: 0, steal: null }, { total: 4, idle: 1, steal: null }), {
      busy: 0.75,
      steal: null
    })
  })

  it("knows nothing of no time", () => {
    const times = { total: 10, idle: 5, steal: 0 }
    assert.deepStrictEqual(sharesOf(times, times), { busy: null, steal: null })
  })
})

describe("parseOpenFiles", () => {
  it("reads the soft limit", () => {
    const text = [
      "Limit                     Soft Limit           Hard Limit           Units     ",
      "Max processes             96364                96364                processes ",
      "Max open files            1024                 524288               files     ",
      "Max locked memory         8388608              8388608              bytes     "
    ].join("\n")
    assert.strictEqual(parseOpenFiles(text), 1_024)
  })

  it("knows that there may be none", () => {
    assert.isNull(parseOpenFiles("Max open files            unlimited            unlimited            files     \n"))
    assert.isNull(parseOpenFiles(""))
  })
})
