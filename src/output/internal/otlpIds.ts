import { createHash } from "node:crypto"

/** The ids of a span, in hexadecimal. */
export interface Ids {
  readonly traceId: string
  readonly spanId: string
}

/**
 * Made from a name, so that they can be found again: of its SHA-256 the first 16 bytes are the id of the trace, the next 8 that of the
 * span. (All zeros would be invalid, and is as likely as to guess the hash.)
 */
export const of = (name: string): Ids => {
  const digest = createHash("sha256").update(name).digest("hex")
  return { traceId: digest.slice(0, 32), spanId: digest.slice(32, 48) }
}

/** Of a request: those of the id it carries to the server. */
export const ofRequest = (runId: string, requestId: number): Ids => of(`${runId}-${requestId}`)
