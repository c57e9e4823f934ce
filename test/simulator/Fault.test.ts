import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as FastCheck from "fast-check"
import * as Fault from "../../src/simulator/Fault.ts"
import * as draws from "../../src/simulator/internal/draws.ts"

const decode = Schema.decodeSync(Fault.FaultFromString)

const all = { _tag: "All" } as const

const failure = (text: string): string => {
  const result = Schema.decodeResult(Fault.FaultFromString)(text)
  return Result.isFailure(result) ? result.failure.message : assert.fail(`${text} was read`)
}

describe("Fault", () => {
  it("reads kinds, numbers and shares", () => {
    assert.deepStrictEqual(decode("crlf"), { kind: "crlf", number: 0, share: all })
    assert.deepStrictEqual(decode("reset:10"), { kind: "reset", number: 10, share: all })
    assert.deepStrictEqual(decode("reset"), { kind: "reset", number: 0, share: all })
    assert.deepStrictEqual(decode("slow-headers:250"), { kind: "slow-headers", number: 250, share: all })
    assert.deepStrictEqual(decode("stall:5@2.5%"), {
      kind: "stall",
      number: 5,
      share: { _tag: "Percent", percent: 2.5 }
    })
    assert.deepStrictEqual(decode("gzip@every=4"), { kind: "gzip", number: 0, share: { _tag: "Every", count: 4 } })
  })

  it("takes the number of a status as every n-th request", () => {
    assert.deepStrictEqual(decode("429:3"), decode("429@every=3"))
    assert.strictEqual(Fault.format(decode("429:3")), "429@every=3")
  })

  it("lists all kinds when one is unknown", () => {
    const message = failure("restet:10")
    assert.include(message, `Unknown fault "restet"`)
    for (const kind of Object.keys(Fault.kinds)) assert.include(message, kind)
  })

  it.each([
    ["crlf:2", "crlf takes no number"],
    ["reset:x", "must be a whole number"],
    ["reset:-1", "must be a whole number"],
    ["reset:", "must be a whole number"],
    ["429:0", "must be 1 or more"],
    ["429:2@5%", "write either 429:N or 429@5%"],
    ["ping@", "neither @P%"],
    ["ping@101%", "neither @P%"],
    ["ping@every=0", "neither @P%"],
    ["ping@5", "neither @P%"],
    ["", "Unknown fault"]
  ])("refuses %j: %s", (text, reason) => assert.include(failure(text), reason))

  it("reads what it writes", () => {
    const fault = FastCheck.record({
      kind: FastCheck.constantFrom(...Fault.Kind.literals),
      number: FastCheck.nat({ max: 1e6 }),
      share: FastCheck.oneof(
        FastCheck.constant<Fault.Share>(all),
        FastCheck.record({
          _tag: FastCheck.constant("Every" as const),
          count: FastCheck.integer({ min: 1, max: 1e6 })
        }),
        FastCheck.record({ _tag: FastCheck.constant("Percent" as const), percent: FastCheck.nat({ max: 100 }) })
      )
    })
    FastCheck.assert(
      FastCheck.property(fault, (value) => {
        const meaning = Fault.kinds[value.kind].number
        const number = meaning === "none" || meaning === "every" ? 0 : value.number
        assert.deepStrictEqual(decode(Fault.format(value)), { ...value, number })
      })
    )
  })

  it("hits requests n, 2n, 3n …", () => {
    const faults = [decode("429:3"), decode("ping")]
    const hit = Array.from({ length: 9 }, (_, i) => Fault.select(faults, i + 1, () => 0).map((fault) => fault.kind))
    hit.forEach((kinds, i) => assert.deepStrictEqual(kinds, (i + 1) % 3 === 0 ? ["429", "ping"] : ["ping"]))
  })

  it("hits a share of the requests, the same ones for the same seed and ids", () => {
    const faults = [decode("500@20%"), decode("gzip@50%")]
    const run = (seed: number) =>
      Array.from({ length: 5000 }, (_, i) => Fault.select(faults, i + 1, draws.make(seed, i, "faults")))
    const hits = run(1)
    const share = (kind: Fault.Kind) => hits.filter((hit) => Fault.find(hit, kind) !== undefined).length / hits.length
    assert.closeTo(share("500"), 0.2, 0.02)
    assert.closeTo(share("gzip"), 0.5, 0.025)
    assert.closeTo(hits.filter((hit) => hit.length === 2).length / hits.length, 0.1, 0.015)
    assert.deepStrictEqual(run(1), hits)
    assert.notDeepEqual(run(2), hits)
    assert.strictEqual(Fault.select([decode("ping@0%")], 1, () => 0).length, 0)
    assert.strictEqual(Fault.select([decode("ping@100%")], 1, () => 1 - 2 ** -32).length, 1)
  })
})
