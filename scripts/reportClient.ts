/** Builds the script of the report's page, with the charts' library in it. The module's value is its text. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { build } from "esbuild"

const root = join(import.meta.dirname, "..")

const inPackage = (name: string, file: string): string => readFileSync(join(root, "node_modules", name, file), "utf8")
const versionOf = (name: string): string => JSON.parse(inPackage(name, "package.json")).version

/** What the licences ask for wherever the code goes; tslib, which is in it too, asks for nothing. */
const notices = [
  `Apache ECharts ${versionOf("echarts")}, under the Apache License, Version 2.0 (apache.org/licenses/LICENSE-2.0).`,
  inPackage("echarts", "NOTICE").trim(),
  `zrender ${versionOf("zrender")}:`,
  inPackage("zrender", "LICENSE").trim()
]

const { outputFiles } = await build({
  absWorkingDir: root,
  entryPoints: ["report-page/main.ts"],
  tsconfig: "report-page/tsconfig.json",
  bundle: true,
  write: false,
  format: "iife",
  platform: "browser",
  target: "es2022",
  minify: true,
  charset: "utf8",
  legalComments: "none",
  define: { "process.env.NODE_ENV": '"production"' },
  banner: { js: `/*!\n${notices.join("\n\n")}\n*/` },
  logLevel: "warning"
})

const script = outputFiles[0]?.text ?? ""

/** Inside an HTML page, these would end the script or change how it is read. */
if (/<\/script|<!--/i.test(script)) throw new Error("The script of the page cannot stand in an HTML page")

export default script
