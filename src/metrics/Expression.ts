/**
 * Conditions as people write them: `ttft_s.p99 < 500ms`, `error_rate < 1%`, `ttft_s.p99 > +20ms`.
 *
 * @since 0.2.0
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"

/**
 * The parts of a condition.
 *
 * - `name`: what is looked at, such as `ttft_s.p99`
 * - `sign`: whether a `+` or `-` stands before the number, `null` when there is none
 * - `amount`: the number, without sign
 * - `unit`: what stands after it, `""` for nothing
 * - `at`: where each part begins, from 0
 *
 * @category models
 * @since 0.2.0
 */
export interface Expression {
  readonly text: string
  readonly name: string
  readonly operator: Operator
  readonly sign: "+" | "-" | null
  readonly amount: number
  readonly unit: string
  readonly at: { readonly name: number; readonly operator: number; readonly amount: number; readonly unit: number }
}

/**
 * @category models
 * @since 0.2.0
 */
export type Operator = "<" | "<=" | ">" | ">="

/**
 * A condition cannot be read. `position` is where, from 0, and `expected` what should be there.
 *
 * @category errors
 * @since 0.2.0
 */
export class ExpressionError extends Schema.TaggedError<ExpressionError>("llmperf/metrics/ExpressionError")(
  "ExpressionError",
  { text: Schema.String, position: Schema.Int, expected: Schema.String }
) {
  override get message(): string {
    return `at character ${this.position + 1}, expected ${this.expected}\n  ${this.text}\n  ${" ".repeat(this.position)}^`
  }
}

/**
 * Takes a condition apart: a name, one of `<`, `<=`, `>`, `>=`, and a number with or without a unit. What the name and the
 * unit mean is for others to say.
 *
 * @category parsing
 * @since 0.2.0
 */
export const parse = (given: string): Result.Result<Expression, ExpressionError> => {
  // One line, so that a position can be pointed at
  const text = given.replaceAll(/\s/g, " ")
  const name = after(text, 0, /[A-Za-z]\w*(?:\.\w+)*/y)
  if (name === null) return fail(text, skip(text, 0), "the name of a number, such as ttft_s.p99 or error_rate")
  const operator = after(text, name.end, /<=|>=|<|>/y)
  if (operator === null || !isOperator(operator.found)) {
    return fail(text, skip(text, name.end), "one of <, <=, > and >=")
  }
  const sign = after(text, operator.end, /[+-]/y)
  const amount = after(text, sign?.end ?? operator.end, /(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?/y)
  if (amount === null) {
    return fail(text, skip(text, sign?.end ?? operator.end), "a number, such as 0.5, 500ms or 5%")
  }
  const unit = after(text, amount.end, /[A-Za-zµμ%/]+/y)
  const end = skip(text, unit?.end ?? amount.end)
  if (end < text.length) return fail(text, end, "nothing more: a condition is a name, a comparison and a number")
  return Result.succeed({
    text,
    name: name.found,
    operator: operator.found,
    sign: sign === null ? null : sign.found === "+" ? "+" : "-",
    amount: Number(amount.found),
    unit: unit?.found ?? "",
    at: {
      name: name.start,
      operator: operator.start,
      amount: (sign ?? amount).start,
      unit: unit?.start ?? amount.start
    }
  })
}

const fail = (text: string, position: number, expected: string): Result.Result<never, ExpressionError> =>
  Result.fail(new ExpressionError({ text, position, expected }))

const isOperator = (text: string): text is Operator => text === "<" || text === "<=" || text === ">" || text === ">="

const skip = (text: string, from: number): number => {
  let at = from
  while (text[at] === " ") at++
  return at
}

const after = (text: string, from: number, pattern: RegExp) => {
  const start = skip(text, from)
  pattern.lastIndex = start
  const found = pattern.exec(text)?.[0]
  return found === undefined ? null : { found, start, end: start + found.length }
}

/**
 * Whether `left` stands in that relation to `right`.
 *
 * @category comparing
 * @since 0.2.0
 */
export const holds = (left: number, operator: Operator, right: number): boolean => {
  switch (operator) {
    case "<":
      return left < right
    case "<=":
      return left <= right
    case ">":
      return left > right
    case ">=":
      return left >= right
  }
}

/**
 * What to write for a bare number of seconds, which might be meant as milliseconds: `500 s? write 500ms or 500s`.
 *
 * @category parsing
 * @since 0.2.0
 */
export const unitNeeded = ({ amount, sign }: Pick<Expression, "amount" | "sign">): string =>
  `a unit: ${sign ?? ""}${amount} s? write ${sign ?? ""}${amount}ms or ${sign ?? ""}${amount}s`

/**
 * How many seconds the unit of a duration is; `null` for any other unit.
 *
 * @category parsing
 * @since 0.2.0
 */
export const secondsOf = (unit: string): number | null => {
  switch (unit) {
    case "s":
      return 1
    case "ms":
      return 1e-3
    case "us":
    case "µs":
    case "μs":
      return 1e-6
    case "min":
      return 60
    default:
      return null
  }
}
