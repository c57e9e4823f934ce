/**
 * One request as people and programs read it: what was sent, how the connection came about, what came back and when.
 *
 * Times are milliseconds after the request was written to its connection.
 *
 * @since 0.2.0
 */
import { type LlmError } from "../domain/LlmError.ts"
import { type ConnectionTiming, type ContentKind, type TokenEvent, type Usage } from "../domain/TokenEvent.ts"
import * as FailureAdvice from "./internal/failureAdvice.ts"
import * as Json from "./internal/Json.ts"
import { style } from "./internal/style.ts"
import * as Text from "./internal/text.ts"
import { type Screen } from "./Screen.ts"
import * as TokenizerCheck from "./TokenizerCheck.ts"

/** Longest body that is shown in full, and the longest piece of text of an event, in characters. */
const MAX_BODY = 1_000
const MAX_TEXT = 60
const MAX_HEADER = 200
/** Lines of a body that are shown, where nothing could be made of it. */
const MAX_LINES = 12

/**
 * A request without its secrets. `proxy` is the address it goes through.
 *
 * @category models
 * @since 0.2.0
 */
export interface Request {
  readonly method: string
  readonly origin: string
  readonly path: string
  readonly headers: ReadonlyArray<readonly [name: string, value: string]>
  readonly body: string
  readonly proxy: string | null
}

/**
 * Is told what happens, in the order in which it happens, and gives the lines that show it.
 *
 * - `request`: again when the adapter asks a second time, because the server refused something of the first
 * - `response`: status and headers, shown with the event that says that the answer began
 * - `body`: the beginning of an answer as it came, shown when nothing came of it
 * - `over`: with the failure, or `null`
 * - `tokenizer`: what a tokenizer and the server count of the same texts, or why the server cannot be asked
 * - `json()`: all of it as one JSON document
 *
 * @category models
 * @since 0.2.0
 */
export interface ProbeReport {
  readonly request: (request: Request) => ReadonlyArray<string>
  readonly response: (
    status: number,
    headers: ReadonlyArray<readonly [name: string, value: string]>,
    at: number
  ) => void
  readonly body: (text: string) => void
  readonly event: (event: TokenEvent) => ReadonlyArray<string>
  readonly over: (error: LlmError | null) => ReadonlyArray<string>
  readonly tokenizer: (name: string, counted: ReadonlyArray<TokenizerCheck.Counted> | string) => ReadonlyArray<string>
  readonly json: () => string
}

interface Response {
  readonly status: number
  readonly headers: ReadonlyArray<readonly [name: string, value: string]>
}

const shortened = (text: string, longest: number): string =>
  text.length <= longest ? text : `${text.slice(0, longest)}… (${text.length} characters)`

/** A text in one line, in quotes, as JSON writes it: blanks and line ends can be seen. */
const quoted = (text: string): string => {
  // eslint-disable-next-line no-control-regex
  const all = JSON.stringify(text).replaceAll(/[\u007F-\u009F]/g, "\uFFFD")
  return all.length <= MAX_TEXT ? all : `${all.slice(0, MAX_TEXT)}…" (${text.length} characters)`
}

const milliseconds = (nanos: number): number => Math.round(nanos / 1_000) / 1_000

const shownTime = (nanos: number): string => `${(nanos / 1e6).toFixed(1)} ms`

const count = (number: number, thing: string): string => `${number} ${thing}${number === 1 ? "" : "s"}`

const tokensText = (tokens: number | null, what: string): ReadonlyArray<string> =>
  tokens === null ? [] : [`${tokens} ${what}`]

const usageText = (usage: Usage): string => {
  const all = [
    ...tokensText(usage.inputTokens, "input tokens"),
    ...tokensText(usage.cachedInputTokens, "of them cached"),
    ...tokensText(usage.outputTokens, "output tokens"),
    ...tokensText(usage.reasoningTokens, "of them reasoning")
  ]
  return all.length === 0 ? "without numbers" : all.join(", ")
}

const bodyValue = (body: string): unknown => {
  try {
    return JSON.parse(body)
  } catch {
    return body
  }
}

/**
 * What to try after such a failure; `null` where the message says all there is to say.
 *
 * @category conversions
 * @since 0.2.0
 */
export const advice = (error: LlmError, asked?: FailureAdvice.Asked): string | null =>
  FailureAdvice.ofError(error, asked)

/**
 * @category constructors
 * @since 0.2.0
 */
export const make = (screen: Screen, asked?: FailureAdvice.Asked): ProbeReport => {
  const { bold, dim, green, red, yellow } = style(screen.color)
  const requests: Array<{ readonly request: Request; response: Response | null }> = []
  const events: Array<{ readonly [key: string]: unknown }> = []
  let sentAt = 0
  let connection: ConnectionTiming | null = null
  let connected = false
  let body = ""
  let usage: Usage | null = null
  let finishReason: string | null = null
  let endedAt: number | null = null
  let wholeAt: number | null = null
  let failure: LlmError | null = null
  let tokenizer: { readonly name: string; readonly texts: ReadonlyArray<TokenizerCheck.Counted> } | null = null
  const contentAt: Array<number> = []
  const texts: { [Kind in ContentKind]: string } = { text: "", reasoning: "", tool: "" }

  const indent = " ".repeat(14)
  const line = (at: number, what: string, text = ""): string => {
    const time = shownTime(at - sentAt).padStart(11)
    return `${dim(time)}   ${text === "" ? bold(what) : `${bold(what.padEnd(9))} ${text}`}`
  }
  const note = (at: number, type: string, fields: { readonly [key: string]: unknown } = {}): void => {
    events.push({ at_ms: milliseconds(at - sentAt), type, ...fields })
  }
  const headerLines = (headers: Response["headers"], before: string): ReadonlyArray<string> =>
    headers.map(([name, value]) => `${before}${dim(`${name}:`)} ${shortened(Text.oneLine(value), MAX_HEADER)}`)

  const connectionLine = (timing: ConnectionTiming | null): string => {
    if (timing === null) return "over a connection that was open already"
    const parts = [`DNS ${shownTime(timing.dns)}`, `TCP ${shownTime(timing.tcp)}`]
    if (timing.tls > 0) parts.push(`TLS ${shownTime(timing.tls)}`)
    const through = requests.at(-1)?.request.proxy ?? null
    return `connected${through === null ? "" : " through the proxy"}: ${parts.join(", ")}`
  }

  const contentLines = (kind: ContentKind, at: ReadonlyArray<number>, text: ReadonlyArray<string>) =>
    at.map((time, index) => {
      const piece = text[index] ?? ""
      contentAt.push(time)
      texts[kind] += piece
      note(time, kind, { text: piece })
      return line(time, kind, quoted(piece))
    })

  const charactersOf = (): number => texts.text.length + texts.reasoning.length + texts.tool.length

  /** What came, where it had no content to show. */
  const bodyLines = (): ReadonlyArray<string> => {
    if (charactersOf() > 0) return []
    const lines = body
      .split("\n")
      .map(Text.oneLine)
      .filter((text) => text !== "")
    if (lines.length === 0) return []
    const more = lines.length - MAX_LINES
    return [
      "What came:",
      ...lines.slice(0, MAX_LINES).map((text) => `  ${shortened(text, MAX_HEADER)}`),
      ...(more > 0 ? [`  … and ${count(more, "more line")}`] : [])
    ]
  }

  /** The server answered, and the model said nothing. */
  const emptyLine = (): string => {
    const tokens = usage?.outputTokens ?? null
    const facts = [
      ...(finishReason === null ? [] : [`finish reason ${Text.oneLine(finishReason)}`]),
      ...(tokens === null ? [] : [count(tokens, "output token")])
    ]
    return `No content came${facts.length === 0 ? "" : ` (${facts.join(", ")})`}: such answers have no TTFT and no inter-token latency.`
  }

  const summaryLine = (): string => {
    const first = contentAt[0]
    const last = contentAt.at(-1)
    const characters = charactersOf()
    if (wholeAt !== null) return `${count(characters, "character")} in one piece after ${shownTime(wholeAt - sentAt)}`
    if (first === undefined || last === undefined) return ""
    const gaps = contentAt.length - 1
    const pace = gaps > 0 ? `, then one every ${shownTime((last - first) / gaps)}` : ""
    return `${count(contentAt.length, "chunk")}, ${count(characters, "character")}; the first after ${shownTime(first - sentAt)}${pace}`
  }

  return {
    request: (request) => {
      requests.push({ request, response: null })
      return [
        ...(requests.length > 1 ? ["", "The adapter asks again:"] : []),
        `${bold(request.method)} ${request.origin}${request.path}`,
        ...(request.proxy === null ? [] : [`  ${dim("through the proxy")} ${request.proxy}`]),
        ...headerLines(request.headers, "  "),
        "",
        ...shortened(request.body, MAX_BODY)
          .split("\n")
          .map((text) => `  ${Text.oneLine(text)}`),
        ""
      ]
    },
    response: (status, headers) => {
      const last = requests.at(-1)
      if (last !== undefined) last.response = { status, headers }
    },
    body: (text) => {
      body = text
    },
    event: (event) => {
      switch (event._tag) {
        case "Sent":
          sentAt = event.at
          connection = event.connection
          connected = true
          note(event.at, "sent")
          return [`${indent}${connectionLine(event.connection)}`, line(event.at, "sent")]
        case "CredentialRenewed":
          note(event.at, "credential renewed")
          return [line(event.at, "renewed", "the credential was rejected; once more with another")]
        case "ResponseStarted": {
          note(event.at, "response", { status: event.status })
          const headers = requests.at(-1)?.response?.headers ?? []
          return [line(event.at, `HTTP ${event.status}`), ...headerLines(headers, indent)]
        }
        case "Content":
          return contentLines(event.kind, event.at, event.text)
        case "Whole":
          texts.text += event.text
          wholeAt = event.at
          note(event.at, "whole", { text: event.text })
          return [line(event.at, "whole", `${quoted(event.text)} (this API does not stream)`)]
        case "Usage":
          usage = event
          note(event.at, "usage", usageFields(event))
          return [line(event.at, "usage", usageText(event))]
        case "Finished":
          finishReason = event.reason
          note(event.at, "finished", { reason: event.reason })
          return [line(event.at, "finished", Text.oneLine(event.reason))]
        case "Ended":
          endedAt = event.at
          note(event.at, "ended")
          return [line(event.at, "end")]
      }
    },
    over: (error) => {
      failure = error
      if (error === null) {
        return charactersOf() === 0
          ? ["", `${yellow("The server answered.")} ${emptyLine()}`, ...bodyLines()]
          : ["", `${green("It works:")} ${summaryLine()}`]
      }
      const help = advice(error, asked)
      return [
        "",
        `${red("It failed:")} ${shortened(Text.oneLine(error.message), MAX_BODY)}`,
        ...bodyLines(),
        ...(connected ? [] : ["Nothing was sent."]),
        ...(help === null ? [] : [help])
      ]
    },
    tokenizer: (name, counted) => {
      if (typeof counted === "string") return ["", `Tokenizer not checked: ${counted}.`]
      tokenizer = { name, texts: counted }
      return ["", ...TokenizerCheck.lines(name, counted)]
    },
    json: () =>
      Json.stringify({
        ok: failure === null,
        requests: requests.map(({ request, response }) => ({
          method: request.method,
          url: `${request.origin}${request.path}`,
          proxy: request.proxy,
          headers: Object.fromEntries(request.headers),
          body: bodyValue(request.body),
          response:
            response === null ? null : { status: response.status, headers: Object.fromEntries(response.headers) }
        })),
        connection:
          connection === null
            ? null
            : {
                dns_ms: milliseconds(connection.dns),
                tcp_ms: milliseconds(connection.tcp),
                tls_ms: milliseconds(connection.tls)
              },
        events,
        ttft_ms: contentAt[0] === undefined ? null : milliseconds(contentAt[0] - sentAt),
        end_to_end_ms: endedAt === null ? null : milliseconds(endedAt - sentAt),
        text: texts.text,
        reasoning: texts.reasoning,
        tool: texts.tool,
        usage: usage === null ? null : usageFields(usage),
        finish_reason: finishReason,
        ...(charactersOf() === 0 && body !== "" ? { body } : {}),
        tokenizer:
          tokenizer === null
            ? null
            : {
                name: tokenizer.name,
                texts: tokenizer.texts.map((text) => ({
                  text: text.name.toLowerCase(),
                  tokenizer_tokens: text.tokenizer,
                  server_tokens: text.server,
                  relative_difference: TokenizerCheck.difference(text)
                }))
              },
        error:
          failure === null
            ? null
            : {
                error_code: failure.errorCode,
                error_reason: failure.reason._tag,
                error_msg: failure.message,
                advice: advice(failure, asked)
              }
      })
  }
}

const usageFields = (usage: Usage) => ({
  input_tokens: usage.inputTokens,
  output_tokens: usage.outputTokens,
  cached_input_tokens: usage.cachedInputTokens,
  reasoning_tokens: usage.reasoningTokens
})
