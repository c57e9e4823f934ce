import * as Redacted from "effect/Redacted"
import * as LlmError from "../../domain/LlmError.ts"
import { isSecretName } from "../../domain/Secrets.ts"

/** What is sent, as far as it may hold secrets. */
interface Carrier {
  readonly path: string
  readonly headers: ReadonlyArray<string>
  readonly secrets?: ReadonlyArray<Redacted.Redacted<string>> | undefined
}

/** Shorter ones are placeholders such as `key` or `none`: hiding them would only spoil messages. */
const shortest = 5
/** From this length on, a secret is hidden in the middle of a word too. */
const longEnough = 16

export const hidden = "***"

/** A value without the scheme before it: `Bearer abc` is `abc`. */
const withoutScheme = (value: string): string => value.replace(/^\s*[A-Za-z][\w-]*\s+(?=\S)/, "").trim()

const queryOf = (path: string): URLSearchParams => {
  const at = path.indexOf("?")
  return new URLSearchParams(at < 0 ? "" : path.slice(at))
}

const inHeaders = (headers: ReadonlyArray<string>): ReadonlyArray<string> =>
  headers.flatMap((value, index) => (index % 2 === 1 && isSecretName(headers[index - 1] ?? "") ? [value] : []))

/** Every text that must not be shown, longest first. */
const textsOf = (carrier: Carrier): ReadonlyArray<string> => {
  const texts = new Set<string>()
  const add = (secret: string): void => {
    for (const text of [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)]) {
      if (text.length >= shortest) texts.add(text)
    }
  }
  for (const value of inHeaders(carrier.headers)) {
    add(value.trim())
    add(withoutScheme(value))
  }
  for (const [name, value] of queryOf(carrier.path)) if (isSecretName(name)) add(value)
  for (const secret of carrier.secrets ?? []) add(Redacted.value(secret).trim())
  return [...texts].toSorted((a, b) => b.length - a.length)
}

const isWordCharacter = (text: string | undefined): boolean => text !== undefined && /\w/.test(text)

const replaceWords = (text: string, secret: string): string => {
  let result = ""
  let from = 0
  for (let at = text.indexOf(secret); at >= 0; at = text.indexOf(secret, at + secret.length)) {
    if (isWordCharacter(text[at - 1]) || isWordCharacter(text[at + secret.length])) continue
    result += text.slice(from, at) + hidden
    from = at + secret.length
  }
  return result + text.slice(from)
}

/** A text that was cut in the middle of a secret. */
const withoutBeginning = (text: string, secret: string): string => {
  for (let length = secret.length - 1; length >= 8; length--) {
    if (text.endsWith(secret.slice(0, length))) return text.slice(0, -length) + hidden
  }
  return text
}

/** Hides the secrets of a request in a text, such as an error message that repeats the key it was sent. */
export const masking = (carrier: Carrier): ((text: string) => string) => {
  const secrets = textsOf(carrier)
  return (text) => {
    let masked = text
    for (const secret of secrets) {
      masked = secret.length < longEnough ? replaceWords(masked, secret) : masked.replaceAll(secret, hidden)
      masked = withoutBeginning(masked, secret)
    }
    return masked
  }
}

/** The reason of a failure, without secrets. */
export const maskReason = (reason: LlmError.Reason, mask: (text: string) => string): LlmError.Reason => {
  switch (reason._tag) {
    case "Connect":
      return new LlmError.Connect({ description: mask(reason.description), code: reason.code })
    case "ConnectionLost":
      return new LlmError.ConnectionLost({ description: mask(reason.description), code: reason.code })
    case "Tls":
      return new LlmError.Tls({ description: mask(reason.description), code: reason.code })
    case "HttpStatus":
      return new LlmError.HttpStatus({
        status: reason.status,
        body: mask(reason.body),
        retryAfterSeconds: reason.retryAfterSeconds
      })
    case "RateLimited":
      return new LlmError.RateLimited({
        status: reason.status,
        body: mask(reason.body),
        retryAfterSeconds: reason.retryAfterSeconds
      })
    case "InStream":
      return new LlmError.InStream({
        description: mask(reason.description),
        code: typeof reason.code === "string" ? mask(reason.code) : reason.code,
        type: reason.type === null ? null : mask(reason.type)
      })
    case "Truncated":
      return new LlmError.Truncated({ description: mask(reason.description) })
    case "Protocol":
      return new LlmError.Protocol({ description: mask(reason.description) })
    case "Internal":
      return new LlmError.Internal({ description: mask(reason.description) })
    default:
      return reason
  }
}

/** A secret as it is shown: its scheme, and how long it is. */
const shownValue = (value: string): string => {
  const rest = withoutScheme(value)
  const scheme = value.trim().slice(0, value.trim().length - rest.length)
  return `${scheme}<${rest.length} characters>`
}

/** Headers as names and values that may be shown. */
export const shownHeaders = (headers: ReadonlyArray<string>): ReadonlyArray<readonly [name: string, value: string]> => {
  const shown: Array<readonly [string, string]> = []
  for (let at = 0; at + 1 < headers.length; at += 2) {
    const name = headers[at] ?? ""
    const value = headers[at + 1] ?? ""
    shown.push([name, isSecretName(name) ? shownValue(value) : value])
  }
  return shown
}

/** A path whose query may be shown. */
export const shownPath = (path: string): string =>
  path.replaceAll(/([?&])([^=&]+)=([^&]*)/g, (whole, before: string, name: string, value: string) =>
    isSecretName(name) ? `${before}${name}=<${value.length} characters>` : whole
  )

/** An address that may be shown. */
export const shownUrl = ({ origin, path }: { readonly origin: string; readonly path: string }): string =>
  origin + shownPath(path)
