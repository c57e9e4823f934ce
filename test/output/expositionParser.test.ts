import { assert, describe, it } from "@effect/vitest"
import { parse } from "./expositionParser.ts"

const histogram = [
  "# TYPE a_seconds histogram",
  "# UNIT a_seconds seconds",
  "# HELP a_seconds What it is",
  'a_seconds_bucket{x="\\"\\\\\\n",le="0.5"} 1',
  'a_seconds_bucket{x="\\"\\\\\\n",le="1.0"} 3',
  'a_seconds_bucket{x="\\"\\\\\\n",le="+Inf"} 3',
  'a_seconds_sum{x="\\"\\\\\\n"} 2.5',
  'a_seconds_count{x="\\"\\\\\\n"} 3'
]

const counter = ["# TYPE b counter", "b_total 1"]

const openMetrics = (lines: ReadonlyArray<string>) => parse([...lines, "# EOF", ""].join("\n"), "openmetrics")

const changed = (from: string, to: string): ReadonlyArray<string> => {
  const text = [...histogram, ...counter].join("\n")
  if (!text.includes(from)) throw new Error(`there is no ${from}`)
  return text.replace(from, to).split("\n")
}

describe("the strict reader of expositions", () => {
  it("takes what is right", () => {
    const { families, sample } = openMetrics([...histogram, ...counter])
    assert.strictEqual(families.get("a_seconds")?.help, "What it is")
    assert.strictEqual(sample("a_seconds_bucket", { x: '"\\\n', le: "1.0" }), 3)
    assert.strictEqual(sample("b_total"), 1)
    const plain = parse('# HELP c_total x\n# TYPE c_total counter\nc_total{a="b"} 2\n', "prometheus")
    assert.strictEqual(plain.sample("c_total", { a: "b" }), 2)
  })

  it.each([
    ["buckets that fall", 'le="0.5"} 1', 'le="0.5"} 4'],
    ["bounds that fall", 'le="0.5"', 'le="5.5"'],
    ["a bound that looks whole", 'le="1.0"', 'le="1"'],
    ["no last bucket", 'le="+Inf"', 'le="2.0"'],
    ["another count", '_count{x="\\"\\\\\\n"} 3', "_count 4"],
    ["a bucket without a bound", ',le="0.5"', ""],
    ["a bare quote", '\\"', '"'],
    ["an escape that there is not", "\\n", "\\t"],
    ["the same twice", 'le="0.5"} 1\n', 'le="0.5"} 1\na_seconds_bucket{x="\\"\\\\\\n",le="0.5"} 1\n'],
    ["a counter without its suffix", "b_total", "b"],
    ["a counter below zero", "b_total 1", "b_total -1"],
    ["no number", "b_total 1", "b_total one"],
    ["a unit that is not in the name", "a_seconds seconds", "a_seconds meters"],
    ["a type that there is not", "b counter", "b count"],
    ["a family in two pieces", "b_total 1", "b_total 1\n# TYPE a_seconds histogram"],
    ["an empty line", "b_total 1", "\nb_total 1"]
  ])("refuses %s", (_, from, to) => {
    assert.throws(() => openMetrics(changed(from, to)))
  })

  it("refuses a text without its end, and what the other format has", () => {
    assert.throws(() => parse(counter.join("\n"), "openmetrics"))
    assert.throws(() => parse("# TYPE b counter\nb_total 1\n", "prometheus"))
    assert.throws(() => parse("# UNIT b_seconds seconds\n# TYPE b_seconds gauge\nb_seconds 1\n", "prometheus"))
    assert.throws(() => parse("# TYPE b info\nb_info 1\n", "prometheus"))
  })
})
