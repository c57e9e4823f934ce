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
 * - `animate`: a line can be drawn over again (a terminal that is not `TERM=dumb`)
 * - `color`: colours are welcome: a terminal without `NO_COLOR`, or `FORCE_COLOR`
 * - `columns`: how wide it is. Without a terminal: `COLUMNS`, or else so wide that nothing is left out
 *
 * @category models
 * @since 0.1.0
 */
export interface Screen {
  readonly animate: boolean
  readonly color: boolean
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

/**
 * Looks at standard output or standard error, `NO_COLOR`, `FORCE_COLOR`, `TERM` and `COLUMNS`.
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
  const dumb = (yield* variable("TERM")) === "dumb"
  const noColor = yield* variable("NO_COLOR")
  const forceColor = yield* variable("FORCE_COLOR")
  const forced = forceColor !== null && forceColor !== "0" && forceColor.toLowerCase() !== "false"
  const measured = isTerminal ? yield* terminal.columns : 0
  const declared = Number(yield* variable("COLUMNS"))
  return {
    animate: isTerminal && !dumb,
    color: noColor === null && !dumb && (forced || isTerminal),
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
