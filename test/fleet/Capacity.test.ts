import { assert, describe, it } from "@effect/vitest"
import { type Limits } from "../../src/domain/CalibrationResults.ts"
import { type AgentProfile, PROTOCOL } from "../../src/engine/LoadAgent.ts"
import * as Capacity from "../../src/fleet/Capacity.ts"

const limits: Limits = {
  measured_at: "2026-01-01T00:00:00.000Z",
  requests: { per_s: 5_000, in_flight: 64, limit: "client" },
  tokens: { per_s: 900_000, in_flight: 64, limit: "client" },
  paced_tokens: { per_s: 60_000, in_flight: 1_200, limit: "client" },
  paced_itl_s: 0.02
}

const profile: AgentProfile = {
  protocol: PROTOCOL,
  version: "0.0.0",
  host: "a",
  pid: 1,
  cores: 8,
  memoryBytes: 1e9,
  load: 0.01,
  openFiles: 1_048_576,
  limits,
  session: null
}

const none: Capacity.Share = { inFlight: null, requestsPerSecond: null, tokensPerSecond: null }

const concernsOf = (change: Partial<AgentProfile>, share: Partial<Capacity.Share>) =>
  Capacity.concerns([{ name: "a:7070", profile: { ...profile, ...change } }], { ...none, ...share })

describe("what agents can carry", () => {
  it("nothing is said of a share well below what was reached", () => {
    assert.deepStrictEqual(concernsOf({}, { inFlight: 800, requestsPerSecond: 3_000, tokensPerSecond: 40_000 }), [])
  })

  it("names the agent whose share is near what it reached, whatever is near", () => {
    assert.deepStrictEqual(concernsOf({}, { requestsPerSecond: 4_000 }), [
      "a:7070: 4,000 requests/s are to come from it, and it reached 5,000 in calibration."
    ])
    assert.deepStrictEqual(concernsOf({}, { tokensPerSecond: 70_000 }), [
      "a:7070: 70,000 tokens/s are to come from it, and it reached 60,000 in calibration."
    ])
    assert.deepStrictEqual(concernsOf({}, { inFlight: 1_000 }), [
      "a:7070: 1,000 streams at a time are to come from it, and it reached 1,200 in calibration."
    ])
  })

  it("where no streams were held, what was reached without pace counts", () => {
    assert.deepStrictEqual(concernsOf({ limits: { ...limits, paced_tokens: null } }, { tokensPerSecond: 70_000 }), [])
  })

  it("counts connections against open files", () => {
    assert.deepStrictEqual(concernsOf({ openFiles: 256 }, { inFlight: 200 }), [
      "a:7070: 200 requests in flight need as many connections, and it may have 256 files open: raise that with ulimit -n."
    ])
    assert.deepStrictEqual(concernsOf({ openFiles: null }, { inFlight: 200 }), [])
  })

  it("tells of other work, and names all that were never calibrated at once", () => {
    const agents = ["a:1", "b:1"].map((name) => ({ name, profile: { ...profile, load: 0.8, limits: null } }))
    assert.deepStrictEqual(Capacity.concerns(agents, none), [
      "a:1: 80 % of its processors were busy in the last minute.",
      "b:1: 80 % of its processors were busy in the last minute.",
      "What a:1, b:1 can carry is not known: run llmperf calibrate there once."
    ])
  })
})
