/**
 * Any other file of requests, CSV or JSON lines, when it is said which column holds what:
 * `offset=ts:ms,input=prompt_len,output=gen_len`.
 *
 * | key | | |
 * | --- | --- | --- |
 * | `offset` | needed | when the request was made; after a colon the unit: `s` (default), `ms`, `us`, `ns` or `iso` for dates |
 * | `input`, `output` | needed | tokens of the prompt and of the answer |
 * | `session` | optional | a label of the conversation |
 * | `blocks` | optional | ids of the blocks the prompt begins with; after a colon the tokens of a block, 512 when left out |
 *
 * @since 0.2.0
 */
import * as Result from "effect/Result"
import * as Cells from "../internal/scheduleCells.ts"
import type { Format } from "./Format.ts"

/**
 * Which column holds what.
 *
 * @category models
 * @since 0.2.0
 */
export interface Mapping {
  readonly offset: { readonly column: string; readonly unit: Cells.Unit }
  readonly input: string
  readonly output: string
  readonly session: string | null
  readonly blocks: { readonly column: string; readonly blockTokens: number } | null
}

const DEFAULT_BLOCK_TOKENS = 512
const keys = ["offset", "input", "output", "session", "blocks"]

/** What stands after the last colon, when that is a unit of the key. */
const split = (text: string, isUnit: (unit: string) => boolean): readonly [column: string, unit: string | null] => {
  const at = text.lastIndexOf(":")
  const unit = text.slice(at + 1).trim()
  return at > 0 && isUnit(unit) ? [text.slice(0, at).trim(), unit] : [text, null]
}

/**
 * Reads a mapping as it is written above. Fails with what is wrong.
 *
 * @category parsing
 * @since 0.2.0
 */
export const parse = (text: string): Result.Result<Mapping, string> => {
  const columns = new Map<string, string>()
  for (const part of text.split(",")) {
    const at = part.indexOf("=")
    const key = part.slice(0, at).trim()
    const column = part.slice(at + 1).trim()
    if (at < 0 || column === "") return Result.fail(`${JSON.stringify(part)} is not key=column`)
    if (!keys.includes(key)) return Result.fail(`${JSON.stringify(key)} is none of ${keys.join(", ")}`)
    if (columns.has(key)) return Result.fail(`${key} is given twice`)
    columns.set(key, column)
  }
  const offset = columns.get("offset")
  const input = columns.get("input")
  const output = columns.get("output")
  if (offset === undefined || input === undefined || output === undefined) {
    const missing = ["offset", "input", "output"].filter((key) => !columns.has(key))
    return Result.fail(`${missing.join(", ")} ${missing.length === 1 ? "is" : "are"} missing`)
  }
  const [time, unit] = split(offset, (name) => Cells.units.some((known) => known === name))
  const blocks = columns.get("blocks")
  const [blockColumn, blockTokens] = split(blocks ?? "", (name) => /^[1-9]\d{0,8}$/.test(name))
  return Result.succeed({
    offset: { column: time, unit: Cells.units.find((known) => known === unit) ?? "s" },
    input,
    output,
    session: columns.get("session") ?? null,
    blocks:
      blocks === undefined
        ? null
        : { column: blockColumn, blockTokens: blockTokens === null ? DEFAULT_BLOCK_TOKENS : Number(blockTokens) }
  })
}

/**
 * The format that a mapping describes.
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = (mapping: Mapping): Format => ({
  name: "mapped",
  title: "columns given by --map",
  timeColumn: mapping.offset.column,
  time: Cells.time(mapping.offset.unit),
  inputColumn: mapping.input,
  outputColumn: mapping.output,
  tokens: Cells.looseCount,
  mark: [],
  sessions: mapping.session === null ? null : { columns: [mapping.session], make: Cells.labels },
  blocks: mapping.blocks === null ? null : { ...mapping.blocks, expected: "a list of whole numbers", read: Cells.ids },
  skipZero: null
})
