/** A request, as far as a null server wants to know it. `end` is where the next one begins. */
export interface NullRequest {
  readonly path: string
  readonly id: string
  readonly tokens: number
  readonly end: number
}

const defaultTokens = 16
const mostTokens = 1_000_000

const numberAfter = (body: string, field: string): number | null => {
  // In a prompt the quotes would have backslashes before them.
  const at = body.lastIndexOf(field)
  if (at < 0) return null
  const number = Number.parseInt(body.slice(at + field.length, at + field.length + 12), 10)
  return Number.isNaN(number) ? null : Math.min(mostTokens, Math.max(1, number))
}

const tokensIn = (body: string): number =>
  numberAfter(body, '"max_tokens":') ?? numberAfter(body, '"max_completion_tokens":') ?? defaultTokens

/** The first request in `bytes`; `null` while it is not there in full. Its body must have a `content-length`. */
export const parse = (bytes: Buffer): NullRequest | null => {
  const headEnd = bytes.indexOf("\r\n\r\n")
  if (headEnd < 0) return null
  const head = bytes.toString("latin1", 0, headEnd)
  const length = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0)
  const end = headEnd + 4 + length
  if (bytes.length < end) return null
  return {
    path: /^\S+ (\S+)/.exec(head)?.[1] ?? "/",
    id: /\r\nx-request-id: *([^\r\n]*)/i.exec(head)?.[1] ?? "",
    tokens: length === 0 ? 0 : tokensIn(bytes.toString("latin1", headEnd + 4, end)),
    end
  }
}
