import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import * as PythonRandom from "../../src/workload/PythonRandom.ts"

const times = <A>(count: number, draw: () => A): Array<A> => Array.from({ length: count }, draw)
const range = (length: number): Array<number> => [...Array(length).keys()]

// The expected numbers were printed by CPython.
describe("PythonRandom", () => {
  it("draws the floats of random.random()", () => {
    assert.strictEqual(PythonRandom.make(11111).random(), 0.9479227239554819)
    assert.strictEqual(PythonRandom.make(0).random(), 0.8444218515250481)
  })

  it("draws the deviates of random.gauss(), two from one pair", () => {
    const random = PythonRandom.make(11111)
    assert.deepStrictEqual(
      times(4, () => random.gauss(0, 1)),
      [0.2188610547428915, -0.07428402778542952, -0.6476173412802638, 0.7776577095441252]
    )
    const scaled = PythonRandom.make(7)
    assert.deepStrictEqual(
      times(5, () => scaled.gauss(550, 150)),
      [511.61795673285997, 626.7147268774771, 516.0855752825343, 502.7397366503222, 410.4972714515849]
    )
  })

  it("shuffles like random.shuffle(), then draws the integers of random.randint()", () => {
    const random = PythonRandom.make(11111)
    const items = range(10)
    random.shuffle(items)
    assert.deepStrictEqual(items, [1, 4, 6, 8, 3, 7, 2, 9, 0, 5])
    assert.deepStrictEqual(
      times(5, () => random.randint(0, 10_000)),
      [2133, 5896, 5465, 6110, 1470]
    )
  })

  it("seeds with all words of a large seed and with the magnitude of a negative one", () => {
    const random = PythonRandom.make(2n ** 70n + 12_345n)
    assert.strictEqual(random.random(), 0.9602803546023011)
    assert.strictEqual(random.getrandbits(53), 7_966_816_205_241_268)
    assert.strictEqual(random.randbelow(2 ** 40), 164_893_852_515)
    assert.strictEqual(PythonRandom.make(-5).random(), 0.6229016948897019)
    assert.strictEqual(PythonRandom.make(Number.MAX_SAFE_INTEGER).random(), 0.09425040007102303)
    assert.throws(() => PythonRandom.make(1.5), RangeError)
  })

  it("keeps every draw in its range", () => {
    fc.assert(
      fc.property(fc.bigInt(), fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), (seed, limit) => {
        const random = PythonRandom.make(seed)
        for (const value of times(20, () => random.randbelow(limit))) {
          assert.isTrue(Number.isSafeInteger(value) && value >= 0 && value < limit)
        }
        const float = random.random()
        assert.isTrue(float >= 0 && float < 1)
        const items = range(20)
        random.shuffle(items)
        assert.deepStrictEqual(
          items.toSorted((a, b) => a - b),
          range(20)
        )
      })
    )
  })

  it("forks by seed and name, whatever was drawn before, and leaves the main draws alone", () => {
    const fresh = PythonRandom.make(11111)
    const used = PythonRandom.make(11111)
    used.random()
    used.gauss(0, 1)
    assert.strictEqual(used.fork("a").random(), fresh.fork("a").random())
    assert.notStrictEqual(fresh.fork("b").random(), fresh.fork("a").random())
    assert.notStrictEqual(fresh.fork("a").fork("a").random(), fresh.fork("a").random())
    assert.notStrictEqual(PythonRandom.make(11112).fork("a").random(), fresh.fork("a").random())
    assert.strictEqual(fresh.random(), 0.9479227239554819)
  })
})
