import * as LlmError from "../../domain/LlmError.ts"

/**
 * How much of an answer is read, at most. Generous: no answer of a model comes near them. What exceeds one fails with
 * `TooLarge`, which names it; `docs/network.md` lists them.
 */

const KiB = 1_024
const MiB = 1_024 * KiB

/** Bytes of an answer, after decompression; also of what is decompressed. */
export const maxAnswerBytes = 256 * MiB
/** Bytes of one server-sent event, of one line, and of a document that is read as a whole. */
export const maxEventBytes = 10 * MiB
/** Bytes of a body that is no stream, such as that of a refusal: what comes beyond is not waited for. */
export const maxRefusalBytes = MiB
/** Bytes of a status line with headers, of trailers, and of what else stands around the pieces of one body. */
export const maxHeadBytes = 16 * KiB
/** Informational answers before the real one. */
export const maxInformational = 64
/** Levels of objects and lists within one another. Reading deep ones recursively runs out of stack. */
export const maxJsonDepth = 256
/** Characters that are kept of what a server says of an error. */
export const maxErrorText = 4_000
/** Characters that are kept of the code and of the type that a server gives an error. */
export const maxErrorCode = 200

const shown = (bytes: number): string => (bytes < MiB ? `${bytes / KiB} KiB` : `${bytes / MiB} MiB`)

/** The failure of an answer with something in it that is larger than is read. */
export const tooLarge = (what: string, most = maxEventBytes): LlmError.TooLarge =>
  new LlmError.TooLarge({ description: `${what} of more than ${shown(most)}` })
