/**
 * Who counts the tokens of the answers of a run: the server, in `usage`, or the tokenizer, from the text.
 *
 * @since 0.2.0
 */
import * as Schema from "effect/Schema"

/**
 * Whose count leads. `docs/metrics.md` says what follows from it.
 *
 * @category models
 * @since 0.2.0
 */
export const TokenSource = Schema.Literals(["server", "tokenizer"])

/**
 * @category models
 * @since 0.2.0
 */
export type TokenSource = typeof TokenSource.Type

/**
 * Whose count is to lead. `auto`: the first answer of the run that succeeds decides: the server, if that answer has `usage`, else
 * the tokenizer.
 *
 * @category models
 * @since 0.2.0
 */
export const CountTokens = Schema.Literals(["auto", ...TokenSource.literals])

/**
 * @category models
 * @since 0.2.0
 */
export type CountTokens = typeof CountTokens.Type
