/** The address of a collector, as OTLP over HTTP has it. */
import * as Option from "effect/Option"

/** What is sent there, as the paths name it. */
export type Signal = "traces" | "metrics"

/** What a user may give; for messages. */
export const expected =
  "the http or https address of an OpenTelemetry collector, without a login, such as http://127.0.0.1:4318"

/**
 * Reads a base address. A login has no place in it, because addresses end up in results; it goes into a header. Nothing is sent
 * of what follows a `#`.
 */
export const read = (text: string): Option.Option<URL> => {
  const trimmed = text.trim()
  if (!/^https?:\/\//i.test(trimmed) || !URL.canParse(trimmed)) return Option.none()
  const url = new URL(trimmed)
  return url.username === "" && url.password === "" && url.hash === "" ? Option.some(url) : Option.none()
}

/** The path of a signal goes below that of the base. Who gave the full path of one meant the base of it. */
export const of = (base: URL, signal: Signal): URL => {
  const url = new URL(base)
  const path = url.pathname.replace(/\/+$/, "").replace(/\/v1\/(traces|metrics|logs)$/, "")
  url.pathname = `${path}/v1/${signal}`
  return url
}

/** For people and for results: without what follows a `?`, which may hold a key. */
export const shown = ({ origin, pathname }: URL): string => `${origin}${pathname}`
