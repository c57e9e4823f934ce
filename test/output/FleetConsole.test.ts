import { assert, describe, it } from "@effect/vitest"
import { type Limits } from "../../src/domain/CalibrationResults.ts"
import * as FleetConsole from "../../src/output/FleetConsole.ts"

const limits: Limits = {
  measured_at: "2026-01-01T00:00:00Z",
  requests: { per_s: 4_012.4, in_flight: 64, limit: "client" },
  tokens: { per_s: 200_000, in_flight: 64, limit: "server" },
  paced_tokens: { per_s: 60_000, in_flight: 1_200, limit: "client" },
  paced_itl_s: 0.02
}

const answer: FleetConsole.Answer = {
  protocol: 1,
  version: "1.2.3",
  host: "node-1",
  pid: 101,
  cores: 8,
  memoryBytes: 16e9,
  load: 0.25,
  openFiles: 1_024,
  limits,
  session: null,
  clock: { offsetNanos: -3.5e9, roundTripNanos: 0.4e6 }
}

const lines: ReadonlyArray<FleetConsole.Line> = [
  { name: "10.0.0.7:7070", answer, problem: null },
  {
    name: "node-2:7070",
    answer: { ...answer, limits: { ...limits, paced_tokens: null }, openFiles: null, session: "s\u001B[31m-7" },
    problem: null
  },
  { name: "node-3:7070", answer: null, problem: "nobody listens there" }
]

const plain = { columns: 160, color: false }

describe("the table of a fleet", () => {
  it("has a row for each agent", () => {
    const [header = "", first = "", second = "", third = "", ...rest] = FleetConsole.render(lines, plain).split("\n")
    const cells = (row: string) => row.trim().split(/ {2,}/)
    assert.deepStrictEqual(cells(header), [
      "version",
      "cores",
      "memory",
      "load",
      "open files",
      "requests/s",
      "tokens/s",
      "clock",
      "round trip",
      "state"
    ])
    assert.deepStrictEqual(cells(first), [
      "10.0.0.7:7070",
      "1.2.3",
      "8",
      "16.0 GB",
      "25.0 %",
      "1024",
      "4012",
      "60000",
      "−3.500 s",
      "0.40 ms",
      "free"
    ])
    assert.deepStrictEqual(cells(second).slice(5), ["–", "4012", "200000", "−3.500 s", "0.40 ms", "works for s [31m-7"])
    assert.deepStrictEqual(cells(third), ["node-3:7070", ...Array.from({ length: 9 }, () => "–"), "cannot be used"])
    assert.deepStrictEqual(rest, [""])
  })

  it("leaves out what does not fit, but never the state", () => {
    const text = FleetConsole.render(lines, { columns: 60, color: false })
    for (const line of text.split("\n")) assert.isAtMost(line.length, 60)
    assert.match(text, /state/)
    assert.match(text, /cannot be used/)
    assert.notMatch(text, /clock/)
  })

  it("marks who cannot be used, when colours are welcome", () => {
    assert.match(
      FleetConsole.render(lines, { ...plain, color: true }),
      /\u001B\[31mnode-3:7070.*cannot be used\u001B\[39m\n/
    )
    assert.notInclude(FleetConsole.render(lines, plain), "\u001B")
  })
})

describe("the JSON of a fleet", () => {
  it("has an entry for each agent", () => {
    const { agents } = JSON.parse(FleetConsole.toJson(lines))
    assert.deepStrictEqual(agents[0], {
      agent: "10.0.0.7:7070",
      problem: null,
      version: "1.2.3",
      protocol: 1,
      host: "node-1",
      pid: 101,
      cores: 8,
      memory_bytes: 16e9,
      load: 0.25,
      open_files: 1_024,
      limits,
      session: null,
      clock_offset_s: -3.5,
      clock_error_s: 0.0002,
      round_trip_s: 0.0004
    })
    assert.deepStrictEqual(agents[2], { agent: "node-3:7070", problem: "nobody listens there" })
  })
})
