/**
 * When requests are due and how long they are: a schedule, as it is read from a file or generated.
 *
 * A schedule may have millions of rows, so it is kept in columns of numbers, 24 bytes a row.
 *
 * @since 0.2.0
 */

/**
 * Blocks of tokens that a prompt begins with. Rows that share their first ids share these blocks of text: a server with a
 * prefix cache has seen them before. `ids` of row `i` are `ids.subarray(start[i], start[i + 1])`; `blockTokens` is the
 * length of a block, of which the last one of a row may be used in part.
 *
 * @category models
 * @since 0.2.0
 */
export interface PrefixBlocks {
  readonly blockTokens: number
  readonly start: Uint32Array
  readonly ids: Float64Array
}

/**
 * The rows in the order in which they are due; rows due at the same moment keep the order of the file.
 *
 * - `id`: number of the row in the file, from 1, the header and blank lines not counted
 * - `offsetSeconds`: when it is due, in seconds after the start, never negative
 * - `inputTokens`, `outputTokens`: tokens of the prompt, tokens asked for
 * - `session`: number of the conversation it belongs to, 0 for none; `null` when the format knows none
 *
 * @category models
 * @since 0.2.0
 */
export interface Schedule {
  readonly length: number
  readonly id: Uint32Array
  readonly offsetSeconds: Float64Array
  readonly inputTokens: Uint32Array
  readonly outputTokens: Uint32Array
  readonly session: Uint32Array | null
  readonly prefix: PrefixBlocks | null
}
