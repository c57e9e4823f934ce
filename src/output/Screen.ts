/**
 * What can be done on the terminal, if there is one.
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Stdio from "effect/Stdio"
import * as Terminal from "effect/Terminal"

/**
 * - `animate`: lines can be drawn over again (a terminal that is not `TERM=dumb`, and not in `CI`)
 * - `color`: colours are welcome: a terminal without `NO_COLOR`, or `FORCE_COLOR`
 * - `unicode`: it shows blocks and lines: not `TERM=linux` or `dumb`, and a locale that is UTF-8 or not set. Left out,
 *   it does
 * - `columns`: how wide it is. Without a terminal: `COLUMNS`, or else so wide that nothing is left out
 *
 * @category models
 * @since 0.1.0
 */
export interface Screen {
  readonly animate: boolean
  readonly color: boolean
  readonly unicode?: boolean | undefined
  readonly columns: number
}

const UNKNOWN_TERMINAL_COLUMNS = 80
const FILE_COLUMNS = 160

const variable = (name: string) =>
  Config.String(name).pipe(
    Effect.map((value) => (value === "" ? null : value)),
    // A variable that is not set, or cannot be read, says nothing
    Effect.orElseSucceed(() => null)
  )

const isOn = (value: string): boolean => value !== "0" && value.toLowerCase() !== "false"

/**
 * Looks at standard output or standard error, and at `NO_COLOR`, `FORCE_COLOR`, `TERM`, `CI`, `LC_ALL`, `LC_CTYPE`, `LANG` and
 * `COLUMNS`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const detect = Effect.fnUntraced(function* (
  stream: "stdout" | "stderr"
): Effect.fn.Return<Screen, never, Stdio.Stdio | Terminal.Terminal> {
  const stdio = yield* Stdio.Stdio
  const terminal = yield* Terminal.Terminal
  const isTerminal = yield* stream === "stdout" ? stdio.stdoutIsTerminal : stdio.stderrIsTerminal
  const term = yield* variable("TERM")
  const dumb = term === "dumb"
  const ci = yield* variable("CI")
  const locale = (yield* variable("LC_ALL")) ?? (yield* variable("LC_CTYPE")) ?? (yield* variable("LANG"))
  const noColor = yield* variable("NO_COLOR")
  const forceColor = yield* variable("FORCE_COLOR")
  const forced = forceColor !== null && isOn(forceColor)
  const measured = isTerminal ? yield* terminal.columns : 0
  const declared = Number(yield* variable("COLUMNS"))
  return {
    animate: isTerminal && !dumb && !(ci !== null && isOn(ci)),
    color: noColor === null && !dumb && (forced || isTerminal),
    unicode: !dumb && term !== "linux" && (locale === null || /utf-?8/i.test(locale)),
    columns:
      measured > 0
        ? measured
        : Number.isInteger(declared) && declared > 0
          ? declared
          : isTerminal
            ? UNKNOWN_TERMINAL_COLUMNS
            : FILE_COLUMNS
  }
})
