import * as Fault from "../Fault.ts"
import { type Chunk } from "../ModelServer.ts"
import { type ContentKind } from "./dialect.ts"

/** What the answer to one request says: the text of each chunk, and what kind of content it is. */
export interface Content {
  readonly kind: (chunk: Chunk) => ContentKind
  readonly text: (chunk: Chunk) => string
  /** Of the tokens of the answer, those that are reasoning. */
  readonly reasoningTokens: (outputTokens: number) => number
}

/** 2, 3 and 4 bytes a character in UTF-8, two UTF-16 units for the last. */
const multiByteWord = "né漢😀"

const multiByteText = (chunk: Chunk): string =>
  Array.from({ length: chunk.tokens }, (_, i) => (chunk.firstToken + i === 0 ? "" : " ") + multiByteWord).join("")

/** The words of the model itself, unless a fault changes them. */
export const make = (faults: ReadonlyArray<Fault.Fault>): Content => {
  const reasoning = Fault.find(faults, "reasoning")?.number ?? 0
  const rest = Fault.find(faults, "tool") === undefined ? "text" : "tool"
  return {
    kind: (chunk) => (chunk.firstToken < reasoning ? "reasoning" : rest),
    text: Fault.find(faults, "utf8") === undefined ? (chunk) => chunk.text : multiByteText,
    reasoningTokens: (outputTokens) => Math.min(reasoning, outputTokens)
  }
}
