/**
 * Faults to order: what a server can do wrong, or right but unusually, and which requests it does it to.
 *
 * As text a fault is `KIND[:N][@SHARE]`. `SHARE` is `P%` (each request with that probability, drawn from the seed) or
 * `every=K` (requests K, 2K, 3K … in the order of arrival); without it every request is hit. `429:3` is short for
 * `429@every=3`, and so for the other statuses.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaTransformation from "effect/SchemaTransformation"

/**
 * What the number of a kind means: none is allowed; a status hits every n-th request; a stream goes wrong after n tokens
 * (0 when left out: before the first); or milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export type NumberMeaning = "none" | "every" | "tokens" | "milliseconds"

interface KindInfo {
  readonly number: NumberMeaning
  readonly summary: string
}

const info = {
  "401": { number: "every", summary: "answers 401 with an error object" },
  "404": { number: "every", summary: "answers 404 with an error object" },
  "429": { number: "every", summary: "answers 429 with an error object and Retry-After: 1" },
  "500": { number: "every", summary: "answers 500 with an error object" },
  "503": { number: "every", summary: "answers 503 with an error object and Retry-After: 1" },
  html: { number: "none", summary: "answers 502 with an HTML page" },
  "html-200": { number: "none", summary: "answers 200 with an HTML page" },
  redirect: { number: "none", summary: "answers 307; the address it names answers without this fault" },
  "status-201": { number: "none", summary: "answers 201 and then streams as usual" },
  "no-usage": { number: "none", summary: "answers 400 naming stream_options when the request has them" },
  "slow-headers": { number: "milliseconds", summary: "waits N ms before it sends headers and starts to work" },
  reset: { number: "tokens", summary: "resets the connection (RST) after N tokens" },
  close: { number: "tokens", summary: "closes the connection in the middle of the body (FIN) after N tokens" },
  cut: { number: "tokens", summary: "ends the body properly after N tokens, without finish reason and [DONE]" },
  stall: { number: "tokens", summary: "sends nothing more after N tokens and keeps the connection open" },
  error: { number: "tokens", summary: "sends an error object in the stream after N tokens and ends it" },
  "error-string": { number: "tokens", summary: "the same, the error being a string" },
  "error-vllm": { number: "tokens", summary: "the same in vLLM's form: object, message and code at the top level" },
  "error-null-code": { number: "tokens", summary: "the same, the code of the error object being null" },
  garbage: { number: "tokens", summary: "sends one event that is not JSON after N tokens and goes on" },
  nodone: { number: "none", summary: "leaves out [DONE]" },
  "after-done": { number: "none", summary: "sends more bytes after [DONE]" },
  "early-role": {
    number: "none",
    summary: "sends the role-only event of a chat with the headers, before any token is ready"
  },
  "empty-choices": {
    number: "none",
    summary: "sends an event with empty choices and one with [{}] before the content"
  },
  reasoning: { number: "tokens", summary: "sends the first N tokens as reasoning_content" },
  tool: { number: "none", summary: "sends the text as arguments of a tool call" },
  utf8: { number: "none", summary: "sends text of 2, 3 and 4 bytes a character instead of words" },
  ping: { number: "none", summary: "sends a comment before every event with content" },
  bom: { number: "none", summary: "begins the stream with a byte order mark" },
  crlf: { number: "none", summary: "ends lines with CR LF" },
  "no-space": { number: "none", summary: "writes data:{…} without a space" },
  "multi-line": { number: "none", summary: "writes each event as two data lines" },
  split: { number: "none", summary: "cuts the body every 7 bytes, inside characters too" },
  gzip: { number: "none", summary: "compresses the body, flushed at each event" }
} as const satisfies { readonly [kind: string]: KindInfo }

/**
 * The name of a fault.
 *
 * @category models
 * @since 0.1.0
 */
export type Kind = keyof typeof info

/**
 * All kinds, each with what its number means and one line that says what it does.
 *
 * @category constants
 * @since 0.1.0
 */
export const kinds: { readonly [K in Kind]: KindInfo } = info

const isKind = (text: string): text is Kind => Object.hasOwn(info, text)

const allKinds = Object.keys(info).filter(isKind)

/**
 * @category schemas
 * @since 0.1.0
 */
export const Kind = Schema.Literals(allKinds)

/**
 * Which requests are hit: all, every `count`-th in the order of arrival, or each with the probability `percent` / 100.
 *
 * @category models
 * @since 0.1.0
 */
export const Share = Schema.TaggedUnion({
  All: {},
  Every: { count: Schema.Int.check(Schema.isGreaterThan(0)) },
  Percent: { percent: Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 100 })) }
})

/**
 * @category models
 * @since 0.1.0
 */
export type Share = typeof Share.Type

/**
 * One fault. `number` is tokens or milliseconds, by kind; 0 for the kinds that have none.
 *
 * @category models
 * @since 0.1.0
 */
export const Fault = Schema.Struct({
  kind: Kind,
  number: Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)),
  share: Share
})

/**
 * @category models
 * @since 0.1.0
 */
export interface Fault extends Schema.Schema.Type<typeof Fault> {}

const grammar = `A fault is KIND[:N][@P%|@every=K], KIND one of ${allKinds.join(", ")}`

const whole = (text: string): number | undefined => (/^\d{1,9}$/.test(text) ? Number(text) : undefined)

const parseShare = (text: string): Share | string => {
  const every = text.startsWith("every=") ? whole(text.slice(6)) : undefined
  if (every !== undefined && every > 0) return { _tag: "Every", count: every }
  const percent = /^\d+(\.\d+)?%$/.test(text) ? Number(text.slice(0, -1)) : Number.NaN
  if (percent <= 100) return { _tag: "Percent", percent }
  return `"@${text}" is neither @P% (0 to 100) nor @every=K (a whole number from 1)`
}

/** The fault, or what is wrong with the text. */
const parse = (text: string): Fault | string => {
  const at = text.indexOf("@")
  const head = at < 0 ? text : text.slice(0, at)
  const colon = head.indexOf(":")
  const kind = colon < 0 ? head : head.slice(0, colon)
  if (!isKind(kind)) return `Unknown fault "${kind}". ${grammar}`
  let share: Share = { _tag: "All" }
  if (at >= 0) {
    const parsed = parseShare(text.slice(at + 1))
    if (typeof parsed === "string") return `In fault "${text}": ${parsed}`
    share = parsed
  }
  if (colon < 0) return { kind, number: 0, share }
  const number = whole(head.slice(colon + 1))
  const meaning: NumberMeaning = info[kind].number
  if (meaning === "none") return `In fault "${text}": ${kind} takes no number`
  if (number === undefined) return `In fault "${text}": what follows ${kind}: must be a whole number`
  if (meaning !== "every") return { kind, number, share }
  if (at >= 0) return `In fault "${text}": write either ${kind}:N or ${kind}@${text.slice(at + 1)}`
  if (number === 0) return `In fault "${text}": ${kind}:N hits every N-th request, so N must be 1 or more`
  return { kind, number: 0, share: { _tag: "Every", count: number } }
}

/**
 * Writes a fault as text, the form `FaultFromString` reads.
 *
 * @category formatting
 * @since 0.1.0
 */
export const format = (fault: Fault): string => {
  const meaning: NumberMeaning = info[fault.kind].number
  const number = meaning === "tokens" || meaning === "milliseconds" ? `:${fault.number}` : ""
  switch (fault.share._tag) {
    case "All":
      return `${fault.kind}${number}`
    case "Every":
      return `${fault.kind}${number}@every=${fault.share.count}`
    case "Percent":
      return `${fault.kind}${number}@${fault.share.percent}%`
  }
}

/**
 * A fault as text: `reset:10`, `429:3`, `stall:5@2%`, `gzip@every=4`. What does not parse fails with a message that says
 * why and, for an unknown kind, lists the kinds.
 *
 * @category schemas
 * @since 0.1.0
 */
export const FaultFromString = Schema.String.pipe(
  Schema.decodeTo(
    Schema.toType(Fault),
    SchemaTransformation.transformEffect({
      decode: (text: string, options) => {
        const parsed = parse(text.trim())
        return typeof parsed === "string"
          ? Effect.fail(new SchemaIssue.InvalidValue({ message: parsed }, text, options))
          : Effect.succeed(parsed)
      },
      encode: (fault: Fault) => Effect.succeed(format(fault))
    })
  )
)

/**
 * The faults that hit a request: `ordinal` is its place in the order of arrival (1, 2, 3 …), `uniform` draws from [0, 1)
 * and is called once for each fault with a percentage, hit or not.
 *
 * @category selection
 * @since 0.1.0
 */
export const select = (faults: ReadonlyArray<Fault>, ordinal: number, uniform: () => number): ReadonlyArray<Fault> =>
  faults.filter(({ share }) => {
    switch (share._tag) {
      case "All":
        return true
      case "Every":
        return ordinal % share.count === 0
      case "Percent":
        return uniform() * 100 < share.percent
    }
  })

/**
 * The first fault of a kind in a list, if there is one.
 *
 * @category selection
 * @since 0.1.0
 */
export const find = (faults: ReadonlyArray<Fault>, kind: Kind): Fault | undefined =>
  faults.find((fault) => fault.kind === kind)
