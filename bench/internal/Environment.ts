import * as OperatingSystem from "node:os"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import { during } from "./BenchError.ts"
import { Setup } from "./Setup.ts"

/** What was measured, and where: every line that is printed above the tables. */
export type Environment = { readonly [name: string]: string | number }

const decodePackage = Schema.decodeUnknownEffect(Schema.fromJsonString(Schema.Struct({ version: Schema.String })))

const stateText = { built: "built", stale: "a build OLDER than its sources", sources: "run from its sources" } as const

/** `load_average` is that of the last minute before the run: other work on the machine shows there. */
export const read = Effect.gen(function* () {
  const { root, llmperf, mockllm, handwritten, pairs } = yield* Setup
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const versionIn = (folder: string) =>
    fs.readFileString(path.join(root, folder, "package.json")).pipe(
      Effect.flatMap(decodePackage),
      Effect.map(({ version }) => version),
      Effect.mapError(during(`Reading the version of ${folder}`))
    )
  const environment: Environment = {
    llmperf: `${yield* versionIn(".")}, ${stateText[llmperf.state]}`,
    handwritten: path.relative(root, handwritten),
    server: mockllm === null ? "llmperf serve" : path.basename(mockllm),
    pairs,
    node: process.version,
    undici: yield* versionIn("node_modules/undici"),
    effect: yield* versionIn("node_modules/effect"),
    cpu: OperatingSystem.cpus()[0]?.model ?? "unknown",
    cores: OperatingSystem.availableParallelism(),
    system: `${OperatingSystem.type()} ${OperatingSystem.machine()}`,
    load_average: Math.round((OperatingSystem.loadavg()[0] ?? 0) * 100) / 100
  }
  return environment
})
