import { assert, describe, it } from "@effect/vitest"
import * as PrometheusServer from "../../src/output/PrometheusServer.ts"

const answer = (target: string, accept = "*/*", method = "GET") =>
  PrometheusServer.answer({ method, target, accept }, (format) => `in ${format}`)

/** What Prometheus 3 sends. */
const ofPrometheus =
  "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"

describe("PrometheusServer", () => {
  it.each([
    ["nothing", "", "prometheus"],
    ["curl", "*/*", "prometheus"],
    ["a browser", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "prometheus"],
    ["Prometheus", ofPrometheus, "openmetrics"],
    ["OpenMetrics without a version", "application/openmetrics-text", "openmetrics"],
    ["OpenMetrics in capitals and quotes", 'Application/OpenMetrics-Text; Version="1.0.0"; Q=1', "openmetrics"],
    ["an older OpenMetrics", "application/openmetrics-text;version=0.0.1", "prometheus"],
    [
      "one that likes the other more",
      "application/openmetrics-text;version=1.0.0;q=0.1,text/plain;q=0.9",
      "prometheus"
    ],
    ["one that wants it not at all", "application/openmetrics-text;q=0, */*", "prometheus"],
    ["one whose liking is no number", "application/openmetrics-text;q=much", "prometheus"],
    ["something that there is not", "application/json", "prometheus"]
  ])("speaks the format that is liked best: %s", (_, accept, format) => {
    const { body, headers, status } = answer("/metrics", accept)
    assert.strictEqual(status, 200)
    assert.strictEqual(body, `in ${format}`)
    assert.strictEqual(
      headers["content-type"],
      format === "openmetrics"
        ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
        : "text/plain; version=0.0.4; charset=utf-8"
    )
  })

  it("knows its paths", () => {
    assert.strictEqual(answer("/metrics?name[]=up").body, "in prometheus")
    assert.strictEqual(answer("/metrics/").body, "in prometheus")
    assert.strictEqual(answer("/").status, 200)
    assert.include(answer("/").body, "/metrics")
    for (const target of ["/metricsx", "/metrics/x", "/favicon.ico", "//metrics", "*", ""]) {
      assert.strictEqual(answer(target).status, 404, target)
    }
  })

  it("answers only who asks", () => {
    assert.strictEqual(answer("/metrics", "*/*", "HEAD").status, 200)
    for (const method of ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"]) {
      const { headers, status } = answer("/metrics", "*/*", method)
      assert.strictEqual(status, 405)
      assert.strictEqual(headers["allow"], "GET, HEAD")
    }
  })
})
