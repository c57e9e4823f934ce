/** The header that shows the token. */
import * as Redacted from "effect/Redacted"
import { createHash, timingSafeEqual } from "node:crypto"

export const NAME = "authorization"

export const value = (token: Redacted.Redacted): string => `Bearer ${Redacted.value(token)}`

/** Of one length whatever the text, which `timingSafeEqual` needs. */
const digest = (text: string): Buffer => createHash("sha256").update(text).digest()

/** Whether a header shows this token. How long it takes to find out says nothing about the token. */
export const check = (token: Redacted.Redacted): ((header: string | undefined) => boolean) => {
  const expected = digest(value(token))
  return (header) => timingSafeEqual(digest(header ?? ""), expected)
}

/** The header among those of a message. */
export const of = (headers: unknown): string | undefined => {
  if (!Array.isArray(headers)) return undefined
  for (const header of headers) {
    if (Array.isArray(header) && header[0] === NAME && typeof header[1] === "string") return header[1]
  }
  return undefined
}
