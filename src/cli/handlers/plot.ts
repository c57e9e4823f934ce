import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { type Command } from "effect/cli"
import * as AtomicFile from "../../output/AtomicFile.ts"
import { fromPlatformError } from "../../output/OutputError.ts"
import * as Report from "../../output/Report.ts"
import * as ReportData from "../../output/ReportData.ts"
import { usage } from "../CommandError.ts"
import { type plotFlags } from "../internal/reportFlags.ts"
import { cannotWrite } from "../internal/reportOutput.ts"

type Input = Command.Command.Config.Infer<typeof plotFlags>

/** Draws the chart, and prints where it is. */
export const handle = Effect.fn("plot")(
  function* ({ chart, format, out, runs, theme, width }: Input) {
    if (format === "png") {
      return yield* usage(
        "llmperf draws SVG only: use --format svg, which browsers, documents and slides show sharply at any size. The Save button of the report makes PNG of some charts, and any converter (rsvg-convert, Inkscape, ImageMagick) of all."
      )
    }
    const data = yield* ReportData.read(runs)
    const svg = yield* Report.svg(data, { chart, theme, width })
    const file = Option.getOrElse(out, () => `${chart}.svg`)
    yield* AtomicFile.write(file, Stream.succeed(svg), fromPlatformError(file))
    yield* Console.log(file)
  },
  Effect.catchTags({
    RunReadError: (error) => Effect.fail(usage(error.message)),
    ChartError: (error) => Effect.fail(usage(error.message)),
    OutputError: (error) => Effect.fail(cannotWrite(error))
  })
)
