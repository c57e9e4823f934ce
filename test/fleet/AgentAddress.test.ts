import { assert, describe, it } from "@effect/vitest"
import * as Option from "effect/Option"
import * as fc from "fast-check"
import * as AgentAddress from "../../src/fleet/AgentAddress.ts"

const parsed = (text: string) => Option.getOrNull(AgentAddress.parse(text))

const host = fc.oneof(fc.domain(), fc.ipV4(), fc.ipV6(), fc.constantFrom("localhost", "agent_1", "node-7", "::1"))

describe("the address of an agent", () => {
  it("is read as it is written", () => {
    fc.assert(
      fc.property(host, fc.integer({ min: 0, max: 65_535 }), (host, port) => {
        assert.deepStrictEqual(parsed(AgentAddress.format({ host, port })), { host, port })
      })
    )
  })

  it.each([
    ["10.0.0.7:8000", { host: "10.0.0.7", port: 8_000 }],
    [" node-7 ", { host: "node-7", port: 7_070 }],
    ["[::1]:0", { host: "::1", port: 0 }],
    ["[fe80::1]", { host: "fe80::1", port: 7_070 }]
  ])("is read: %s", (text, address) => {
    assert.deepStrictEqual(parsed(text), address)
  })

  it.each([
    "",
    ":7070",
    "node:",
    "node:port",
    "node:65536",
    "node:1:2",
    "::1",
    "::1:7070",
    "[node]:7070",
    "[::1",
    "[::1]7070",
    "10.0.0:7070",
    "10.0.0.999:7070",
    "no de:7070",
    "-node:7070",
    "http://node:7070",
    "node/x:7070",
    "nöde:7070"
  ])("is none: %s", (text) => {
    assert.isNull(parsed(text))
  })

  it("may be one of several, of which none may be bad or without a port to call", () => {
    assert.deepStrictEqual(Option.getOrNull(AgentAddress.parseList("a:1, [::1]:2,b")), [
      { host: "a", port: 1 },
      { host: "::1", port: 2 },
      { host: "b", port: 7_070 }
    ])
    for (const bad of ["", "a:1,", "a:1,,b:2", "a:1 b:2", "a:0"]) {
      assert.isTrue(Option.isNone(AgentAddress.parseList(bad)), bad)
    }
  })

  it.each([
    ["127.0.0.1", true],
    ["127.8.9.1", true],
    ["::1", true],
    ["0:0:0:0:0:0:0:1", true],
    ["localhost", true],
    ["LOCALHOST", true],
    ["0.0.0.0", false],
    ["::", false],
    ["::2", false],
    ["fe80::1", false],
    ["1::1", false],
    ["10.0.0.1", false],
    ["127.0.0.1.example.com", false],
    ["localhost.example.com", false]
  ])("is reached from this machine only, or not: %s", (host, isLoopback) => {
    assert.strictEqual(AgentAddress.isLoopback({ host }), isLoopback)
  })
})
