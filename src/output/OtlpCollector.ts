/**
 * Where telemetry goes: an OpenTelemetry collector, or anything that takes OTLP over HTTP
 * (https://opentelemetry.io/docs/specs/otlp/#otlphttp).
 *
 * @since 0.2.0
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Address from "./internal/otlpAddress.ts"

/**
 * How messages are encoded.
 *
 * @category models
 * @since 0.2.0
 */
export const Protocol = Schema.Literals(["http/json", "http/protobuf"])

/**
 * @category models
 * @since 0.2.0
 */
export type Protocol = typeof Protocol.Type

/**
 * A collector, and what is said to it.
 *
 * - `url`: where to post; `address`: the same for people and for results, without what may be secret
 * - `headers`: sent with every request, such as the key of an account
 * - `gzip`: whether bodies are compressed
 * - `timeoutSeconds`: how long it may take to answer a request
 * - `resource`: attributes of the sender that the user has set, over our own
 *
 * @category models
 * @since 0.2.0
 */
export interface OtlpCollector {
  readonly url: string
  readonly address: string
  readonly headers: Redacted.Redacted<Pairs>
  readonly protocol: Protocol
  readonly gzip: boolean
  readonly timeoutSeconds: number
  readonly resource: Pairs
}

/**
 * @category models
 * @since 0.2.0
 */
export interface Pairs {
  readonly [name: string]: string
}

/**
 * A variable of OpenTelemetry, or the address itself, cannot be used. `setting` is its name; what it holds is not told, as it may be a
 * secret.
 *
 * @category errors
 * @since 0.2.0
 */
export class OtlpSettingError extends Schema.TaggedError<OtlpSettingError>("llmperf/output/OtlpSettingError")(
  "OtlpSettingError",
  { setting: Schema.String, expected: Schema.String }
) {
  override get message(): string {
    return `${this.setting} is not ${this.expected}`
  }
}

/**
 * Reads the address of a collector, as a flag takes it: `http` or `https`, and no login in it.
 *
 * @category decoding
 * @since 0.2.0
 */
export const readAddress = (text: string): Option.Option<string> => Option.map(Address.read(text), ({ href }) => href)

/**
 * What `readAddress` takes, in words.
 *
 * @category decoding
 * @since 0.2.0
 */
export const addressExpected: string = Address.expected

/**
 * The collector at a base address, such as `http://127.0.0.1:4318`, to which `/v1/traces` or `/v1/metrics` is added, with what the
 * variables of OpenTelemetry say
 * (https://opentelemetry.io/docs/specs/otel/protocol/exporter/):
 *
 * - `OTEL_EXPORTER_OTLP_HEADERS`: `name=value`, several separated by commas, values percent-encoded
 * - `OTEL_EXPORTER_OTLP_PROTOCOL`: `http/json`, which is what is sent without it, or `http/protobuf`
 * - `OTEL_EXPORTER_OTLP_COMPRESSION`: `gzip` or `none`
 * - `OTEL_EXPORTER_OTLP_TIMEOUT`: milliseconds, 10,000 without it
 * - `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_SERVICE_NAME`: of the sender
 *
 * For the first four there is one that counts for a signal only, such as `OTEL_EXPORTER_OTLP_TRACES_HEADERS`, and wins. Fails with
 * `OtlpSettingError` when one cannot be used.
 *
 * @category constructors
 * @since 0.2.0
 */
export const fromConfig = Effect.fn("OtlpCollector.fromConfig")(function* (
  base: string,
  signal: Address.Signal
): Effect.fn.Return<OtlpCollector, OtlpSettingError | Config.ConfigError> {
  const address = Address.read(base)
  if (Option.isNone(address)) {
    return yield* new OtlpSettingError({ setting: "the address of the collector", expected: Address.expected })
  }
  const url = Address.of(address.value, signal)
  const exporter = <A>(name: string, { expected, read }: Reader<A>, fallback: A) =>
    first([`OTEL_EXPORTER_OTLP_${signal.toUpperCase()}_${name}`, `OTEL_EXPORTER_OTLP_${name}`], {
      expected,
      read
    }).pipe(Effect.map(Option.getOrElse(() => fallback)))
  const headers = yield* exporter("HEADERS", headerPairs, {})
  const attributes = yield* first(["OTEL_RESOURCE_ATTRIBUTES"], pairs)
  const name = yield* first(["OTEL_SERVICE_NAME"], { expected: "a name", read: Option.some })
  return {
    url: url.href,
    address: Address.shown(url),
    headers: Redacted.make(headers),
    protocol: yield* exporter("PROTOCOL", protocol, "http/json"),
    gzip: yield* exporter("COMPRESSION", compression, false),
    timeoutSeconds: (yield* exporter("TIMEOUT", millis, 10_000)) / 1_000,
    resource: {
      ...Option.getOrElse(attributes, () => ({})),
      ...(Option.isSome(name) ? { "service.name": name.value } : {})
    }
  }
})

interface Reader<A> {
  readonly read: (text: string) => Option.Option<A>
  readonly expected: string
}

/** The first of the variables that is set and not blank, read. */
const first = <A>(names: ReadonlyArray<string>, { expected, read }: Reader<A>) =>
  Effect.gen(function* () {
    for (const name of names) {
      const text = Option.getOrElse(yield* Config.option(Config.String(name)), () => "").trim()
      if (text === "") continue
      const value = read(text)
      if (Option.isNone(value)) return yield* new OtlpSettingError({ setting: name, expected })
      return value
    }
    return Option.none<A>()
  })

const decoded = (text: string): Option.Option<string> => {
  try {
    return Option.some(decodeURIComponent(text))
  } catch {
    return Option.none()
  }
}

const pairs: Reader<Pairs> = {
  expected: "name=value, several separated by commas, values percent-encoded",
  read: (text) => {
    const read: { [name: string]: string } = {}
    for (const pair of text.split(",")) {
      if (pair.trim() === "") continue
      const at = pair.indexOf("=")
      const name = decoded(pair.slice(0, Math.max(0, at)).trim())
      const value = decoded(pair.slice(at + 1).trim())
      if (Option.isNone(name) || name.value === "" || Option.isNone(value)) return Option.none()
      read[name.value] = value.value
    }
    return Option.some(read)
  }
}

/** Names are tokens of RFC 9110; values have only what may be sent (RFC 9110, 5.5). */
const headerPairs: Reader<Pairs> = {
  expected: `${pairs.expected}; each a header`,
  read: (text) =>
    Option.filter(pairs.read(text), (read) =>
      Object.entries(read).every(
        ([name, value]) => /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name) && /^[\t\x20-\x7e\x80-\xff]*$/.test(value)
      )
    )
}

const protocol: Reader<Protocol> = {
  expected: "http/json or http/protobuf, the two that go over HTTP",
  read: Schema.decodeUnknownOption(Protocol)
}

const compression: Reader<boolean> = {
  expected: "gzip or none",
  read: (text) => (["gzip", "none"].includes(text) ? Option.some(text === "gzip") : Option.none())
}

const millis: Reader<number> = {
  expected: "a whole number of milliseconds above 0",
  read: (text) => (/^[1-9]\d{0,8}$/.test(text) ? Option.some(Number(text)) : Option.none())
}
