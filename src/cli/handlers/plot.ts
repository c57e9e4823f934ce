import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
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

/** Sharp on the screens of today, and in print at the usual size of a figure. */
const DEFAULT_SCALE = 2

/** Images that a file may be meant to be, and that are not drawn. */
const OTHERS = new Set([".jpg", ".jpeg", ".gif", ".webp", ".avif", ".tif", ".tiff", ".bmp", ".pdf", ".eps", ".ps"])

/** The kind of image: as it is said, or as the name of the file says it. */
const formatOf = Effect.fnUntraced(function* ({ format, out }: Pick<Input, "format" | "out">) {
  if (Option.isSome(format)) return format.value
  const path = yield* Path.Path
  const extension = path.extname(Option.getOrElse(out, () => "")).toLowerCase()
  if (OTHERS.has(extension)) {
    return yield* usage(
      `llmperf draws SVG and PNG, not ${extension}: give --out a name that ends in .svg or .png, or say which with --format.`
    )
  }
  return extension === ".png" ? "png" : "svg"
})

/** Draws the chart, and prints where it is. */
export const handle = Effect.fn("plot")(
  function* (input: Input) {
    const { chart, runs, scale, theme, width } = input
    const format = yield* formatOf(input)
    if (format === "svg" && Option.isSome(scale)) {
      return yield* usage("--scale is for PNG: an SVG is sharp at any size, and --width says how wide it is.")
    }
    const data = yield* ReportData.read(runs)
    const image = yield* format === "svg"
      ? Report.svg(data, { chart, theme, width })
      : Report.png(data, { chart, theme, width, scale: Option.getOrElse(scale, () => DEFAULT_SCALE) })
    const file = Option.getOrElse(input.out, () => `${chart}.${format}`)
    yield* AtomicFile.write(file, Stream.succeed(image), fromPlatformError(file))
    yield* Console.log(file)
  },
  Effect.catchTags({
    RunReadError: (error) => Effect.fail(usage(error.message)),
    ChartError: (error) => Effect.fail(usage(error.message)),
    ImageSizeError: (error) => Effect.fail(usage(`${error.message} Give a smaller --scale or --width.`)),
    OutputError: (error) => Effect.fail(cannotWrite(error))
  })
)
