import * as Option from "effect/Option"
import * as OtlpCollector from "../../output/OtlpCollector.ts"
import * as Setting from "./setting.ts"

const port: Setting.Reader<number> = {
  ...Setting.naturalInt("port"),
  read: (text) => Option.filter(Setting.naturalInt("port").read(text), (number) => number <= 65_535),
  expected: "a port, 0 to 65535; 0 takes any that is free"
}

const collector: Setting.Reader<string> = {
  read: OtlpCollector.readAddress,
  expected: OtlpCollector.addressExpected,
  metavar: "url",
  shown: Setting.hidden
}

/** The address to listen on when nothing is said. */
export const LOCAL_HOST = "127.0.0.1"

/** How a run is watched from outside while it goes. */
export const liveMetricsFlags = {
  prometheusPort: Setting.optional(
    "prometheus-port",
    port,
    "Serve metrics at /metrics of this port during the run, for Prometheus"
  ),
  prometheusHost: Setting.optional(
    "prometheus-host",
    Setting.text("host"),
    `The address to serve them on (default: ${LOCAL_HOST}, this machine only); 0.0.0.0 serves all interfaces`
  ),
  otlp: Setting.optional(
    "otlp",
    collector,
    "Send metrics during the run, and a span for every request, to this OpenTelemetry collector (OTLP over HTTP). OTEL_EXPORTER_OTLP_HEADERS holds its key"
  )
}
