import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Address from "../../src/output/internal/otlpAddress.ts"
import * as OtlpCollector from "../../src/output/OtlpCollector.ts"
import { environment } from "../provider/recording.ts"

const collector = (variables: { readonly [name: string]: string } = {}, url = "http://127.0.0.1:4318") =>
  Effect.provide(OtlpCollector.fromConfig(url, "traces"), environment(variables))

describe("the address of a collector", () => {
  it("is that of the base or of a signal", () => {
    const urlOf = (text: string) =>
      Option.getOrThrow(Option.map(Address.read(text), (url) => Address.of(url, "traces").href))
    assert.strictEqual(urlOf("http://127.0.0.1:4318"), "http://127.0.0.1:4318/v1/traces")
    assert.strictEqual(urlOf(" http://127.0.0.1:4318/ "), "http://127.0.0.1:4318/v1/traces")
    assert.strictEqual(urlOf("https://api.example.com/otlp"), "https://api.example.com/otlp/v1/traces")
    assert.strictEqual(urlOf("https://api.example.com/otlp//"), "https://api.example.com/otlp/v1/traces")
    assert.strictEqual(urlOf("https://api.example.com/otlp/v1/traces"), "https://api.example.com/otlp/v1/traces")
    assert.strictEqual(urlOf("https://api.example.com/v1/metrics?key=a"), "https://api.example.com/v1/traces?key=a")
    assert.strictEqual(urlOf("HTTP://collector:4318"), "http://collector:4318/v1/traces")
  })

  it("is refused when nothing could be sent there", () => {
    for (const text of [
      "",
      "collector:4318",
      "localhost:4318",
      "grpc://c:4317",
      "http://",
      "http://u:p@c:4318",
      "http://c/#a"
    ]) {
      assert.isTrue(Option.isNone(OtlpCollector.readAddress(text)), text)
    }
    assert.deepStrictEqual(OtlpCollector.readAddress("http://c:4318"), Option.some("http://c:4318/"))
  })

  it.effect("is shown without what may be secret", () =>
    Effect.gen(function* () {
      const { address, url } = yield* collector({}, "https://c.example.com/?key=secret")
      assert.strictEqual(address, "https://c.example.com/v1/traces")
      assert.strictEqual(url, "https://c.example.com/v1/traces?key=secret")
    })
  )
})

describe("what OpenTelemetry's variables say of it", () => {
  it.effect("is nothing without them", () =>
    Effect.gen(function* () {
      const { headers, ...rest } = yield* collector({ OTEL_EXPORTER_OTLP_HEADERS: " " })
      assert.deepStrictEqual(Redacted.value(headers), {})
      assert.deepStrictEqual(rest, {
        url: "http://127.0.0.1:4318/v1/traces",
        address: "http://127.0.0.1:4318/v1/traces",
        protocol: "http/json",
        gzip: false,
        timeoutSeconds: 10,
        resource: {}
      })
    })
  )

  it.effect("is taken, that for the signal first", () =>
    Effect.gen(function* () {
      const { headers, ...rest } = yield* collector({
        OTEL_EXPORTER_OTLP_HEADERS: "x-key=general",
        OTEL_EXPORTER_OTLP_TRACES_HEADERS: "x-key=a%20b, Authorization=Basic dXNlcjpwYXNzdw==,",
        OTEL_EXPORTER_OTLP_PROTOCOL: "http/protobuf",
        OTEL_EXPORTER_OTLP_COMPRESSION: "none",
        OTEL_EXPORTER_OTLP_TRACES_COMPRESSION: "gzip",
        OTEL_EXPORTER_OTLP_TIMEOUT: "2500",
        OTEL_RESOURCE_ATTRIBUTES: "deployment.environment.name=staging,service.name=other",
        OTEL_SERVICE_NAME: "nightly"
      })
      assert.deepStrictEqual(Redacted.value(headers), { "x-key": "a b", Authorization: "Basic dXNlcjpwYXNzdw==" })
      assert.notInclude(JSON.stringify(headers), "dXNlcjpwYXNzdw")
      assert.deepInclude(rest, { protocol: "http/protobuf", gzip: true, timeoutSeconds: 2.5 })
      assert.deepStrictEqual(rest.resource, { "deployment.environment.name": "staging", "service.name": "nightly" })
    })
  )

  it.effect.each([
    ["OTEL_EXPORTER_OTLP_HEADERS", "secret"],
    ["OTEL_EXPORTER_OTLP_HEADERS", "=secret"],
    ["OTEL_EXPORTER_OTLP_HEADERS", "a b=secret"],
    ["OTEL_EXPORTER_OTLP_HEADERS", "x=secret%0d%0ay:1"],
    ["OTEL_EXPORTER_OTLP_HEADERS", "x=secret%zz"],
    ["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "x-key"],
    ["OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"],
    ["OTEL_EXPORTER_OTLP_COMPRESSION", "br"],
    ["OTEL_EXPORTER_OTLP_TIMEOUT", "0"],
    ["OTEL_EXPORTER_OTLP_TIMEOUT", "10s"],
    ["OTEL_RESOURCE_ATTRIBUTES", "a"]
  ] as const)("is refused by its name when it cannot be used: %s", ([name, value]) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(collector({ [name]: value }))
      assert.strictEqual(error._tag, "OtlpSettingError")
      assert.include(error.message, `${name} is not `)
      assert.notInclude(error.message, "secret")
    })
  )

  it.effect("is not read of an address that cannot be used", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(collector({}, "collector:4318"))
      assert.include(error.message, "the address of the collector is not the http or https address")
    })
  )
})
