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

/** The arguments and the flags of `llmperf plot`. */
export const plotFlags = {
  runs: Argument.String("run").pipe(
    Argument.withDescription("A results folder, or a summary file; several are laid over each other"),
    Argument.atLeast(1)
  ),
  chart: Setting.required("chart", Setting.oneOf(...chartNames), "Which chart of the report"),
  out: Setting.optional("out", Setting.text("file"), "The file to write (default: the name of the chart, here)"),
  format: Setting.withDefault("format", Setting.oneOf("svg", "png"), "svg", "The kind of image"),
  theme: Setting.withDefault("theme", Setting.oneOf("light", "dark"), "light", "The colours"),
  width: Setting.withDefault("width", Setting.positiveInt("pixels"), 960, "How wide it is")
}
