import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as fc from "fast-check"
import * as ClusterAddress from "../../src/fleet/ClusterAddress.ts"

const problemOf = (text: string): string =>
  Result.match(ClusterAddress.parse(text), {
    onSuccess: (address) => `read as ${JSON.stringify(address)}`,
    onFailure: ({ message }) => message
  })

const read = (text: string) => Result.getOrThrow(ClusterAddress.parse(text))

describe("a database", () => {
  it("is an address without a password", () => {
    for (const scheme of ["postgres", "postgresql"]) {
      assert.deepStrictEqual(read(` ${scheme}://me@db.example:5433/load?sslmode=verify-full `), {
        _tag: "Postgres",
        url: `${scheme}://me@db.example:5433/load?sslmode=verify-full`,
        tlsName: null
      })
    }
    assert.strictEqual(ClusterAddress.format(read("postgres://me@db/load")), "postgres://me@db/load")
  })

  it("has its password elsewhere", () => {
    const problem = problemOf("postgres://me:geheim@db/load")
    assert.include(problem, "PGPASSWORD")
    assert.notInclude(problem, "geheim")
  })

  it.each([
    ["postgres://db/load", "postgres://user@host:5432/database"],
    ["postgres://me@db", "postgres://user@host:5432/database"],
    ["postgres://me@db/", "postgres://user@host:5432/database"],
    ["postgres://me@db/a/b", "postgres://user@host:5432/database"],
    ["postgres:///load", "postgres://user@host:5432/database"],
    ["postgres://me@db/load?ssl=true", '"ssl" is not known here'],
    ["postgres://me@db/load?sslmode=yes", "disable, prefer, require, verify-full"]
  ])("is refused when it is written %s", (text, expected) => {
    assert.include(problemOf(text), expected)
  })
})

describe("pods", () => {
  it("are those of a namespace with some labels, and a pod knows where the API is", () => {
    assert.deepStrictEqual(read("k8s://load/app%3Dllmperf-agent,tier%3Dblue?port=7071"), {
      _tag: "Pods",
      namespace: "load",
      labels: "app=llmperf-agent,tier=blue",
      port: 7_071,
      api: "https://kubernetes.default.svc",
      tokenFile: "/var/run/secrets/kubernetes.io/serviceaccount/token",
      caFile: "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt",
      tlsName: null
    })
    // A shell need not be told of the =
    assert.deepInclude(read("k8s://load/app=llmperf-agent"), { labels: "app=llmperf-agent", port: 7_070 })
    assert.include(ClusterAddress.format(read("k8s://load/app=agent")), "namespace load with app=agent, port 7070")
  })

  it("are asked for elsewhere without the token of the pod, unless another is given", () => {
    assert.deepInclude(read("k8s://load/app=a?api=http://127.0.0.1:8001/"), {
      api: "http://127.0.0.1:8001",
      tokenFile: null,
      caFile: null
    })
    assert.deepInclude(read("k8s://load/app=a?api=https://10.0.0.1:6443&token-file=/t&ca-file=/c"), {
      api: "https://10.0.0.1:6443",
      tokenFile: "/t",
      caFile: "/c"
    })
  })

  it.each([
    ["k8s://", "namespace"],
    ["k8s:///app=a", "namespace"],
    ["k8s://Load_1/app=a", "namespace"],
    ["k8s://load", "labels"],
    ["k8s://load/", "labels"],
    ["k8s://load/%20", "labels"],
    ["k8s://load/%E0%A4%A", "labels"],
    ["k8s://load/app=a?port=0", "1 to 65535"],
    ["k8s://load/app=a?port=65536", "1 to 65535"],
    ["k8s://load/app=a?port=http", "1 to 65535"],
    ["k8s://load/app=a?ports=1", '"ports" is not known here'],
    ["k8s://load/app=a?api=127.0.0.1:8001", "api is an http or https address"]
  ])("are refused when they are written %s", (text, expected) => {
    assert.include(problemOf(text), expected)
  })
})

describe("the certificates of agents", () => {
  it("may have one name for all", () => {
    assert.deepInclude(read("k8s://load/llmperf=agent?port=7070&tls-name=llmperf-agent"), { tlsName: "llmperf-agent" })
    assert.deepStrictEqual(read("postgres://me@db/load?sslmode=require&tls-name=agents.example"), {
      _tag: "Postgres",
      url: "postgres://me@db/load?sslmode=require",
      tlsName: "agents.example"
    })
    assert.strictEqual(ClusterAddress.format(read("postgres://me@db/load?tls-name=a")), "postgres://me@db/load")
  })

  it.each(["", "10.0.0.1", "::1", "a b", ".a", "a..b"])("have no name such as %s", (name) => {
    const escaped = encodeURIComponent(name)
    assert.include(problemOf(`k8s://load/app=a?tls-name=${escaped}`), "tls-name")
    assert.include(problemOf(`postgres://me@db/load?tls-name=${escaped}`), "tls-name")
  })
})

describe("a cluster", () => {
  it.each(["", "k8s", "load", "mysql://me@db/load", "http://db/load", "postgres"])("is not %s", (text) => {
    assert.include(problemOf(text), ClusterAddress.EXPECTED)
  })

  it("is read or refused with a reason, whatever is given", () => {
    const text = fc.oneof(
      fc.string(),
      fc
        .tuple(
          fc.constantFrom("postgres://", "k8s://", "postgresql://"),
          fc.string(),
          fc.constantFrom("", "?", "?port=1", "?sslmode=require")
        )
        .map((parts) => parts.join(""))
    )
    fc.assert(
      fc.property(text, (text) => {
        const result = ClusterAddress.parse(text)
        if (Result.isSuccess(result)) assert.isAbove(ClusterAddress.format(result.success).length, 0)
        else assert.isAbove(result.failure.message.length, 10)
      })
    )
  })
})
