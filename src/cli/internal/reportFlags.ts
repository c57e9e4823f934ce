import * as Option from "effect/Option"
import { Argument } from "effect/cli"
import { chartNames } from "../../output/ChartName.ts"
import * as Setting from "./setting.ts"

/** The arguments and the flags of `llmperf report`. */
export const reportFlags = {
  runs: Argument.String("run").pipe(
    Argument.withDescription("A results folder, or a summary file; several are laid over each other"),
    Argument.atLeast(1)
  ),
  out: Setting.optional(
    "out",
    Setting.text("file"),
    "The file to write (default: report.html, in the results folder of a single run and otherwise here)"
  ),
  open: Setting.withDefault("open", Setting.oneOf("yes", "no"), "no", "Whether to show it in the browser")
}

const LARGEST_SCALE = 8

const scale: Setting.Reader<number> = {
  read: (text) =>
    Option.filter(Setting.nonNegative("factor").read(text), (value) => value > 0 && value <= LARGEST_SCALE),
  expected: `a number above 0, ${LARGEST_SCALE} at most`,
  metavar: "factor"
}

/** The arguments and the flags of `llmperf plot`. */
export const plotFlags = {
  runs: Argument.String("run").pipe(
    Argument.withDescription("A results folder, or a summary file; several are laid over each other"),
    Argument.atLeast(1)
  ),
  chart: Setting.required("chart", Setting.oneOf(...chartNames), "Which chart of the report"),
  out: Setting.optional("out", Setting.text("file"), "The file to write (default: the name of the chart, here)"),
  format: Setting.optional(
    "format",
    Setting.oneOf("svg", "png"),
    "The kind of image (default: what the name of --out ends in, else svg)"
  ),
  theme: Setting.withDefault("theme", Setting.oneOf("light", "dark"), "light", "The colours"),
  width: Setting.withDefault("width", Setting.positiveInt("pixels"), 960, "How wide it is"),
  scale: Setting.optional("scale", scale, "Of PNG: pixels of the image for each pixel of --width (default: 2)")
}
