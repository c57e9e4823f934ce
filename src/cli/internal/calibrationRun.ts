import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { type Machine, withLoad } from "../../domain/CalibrationResults.ts"
import packageJson from "../../../package.json" with { type: "json" }
import * as Calibration from "../../engine/Calibration.ts"
import * as Pacer from "../../engine/Pacer.ts"
import * as CalibrationCache from "../../output/CalibrationCache.ts"
import * as Transport from "../../provider/Transport.ts"
import * as NullServer from "../../simulator/NullServer.ts"
import * as PromptMaker from "../../workload/PromptMaker.ts"
import { defaults } from "./calibrationDefaults.ts"
import { type Load } from "./load.ts"

/** What is known of this machine, and where that is kept. */
export interface Kept extends CalibrationCache.Known {
  readonly folder: string | null
  readonly machine: Machine
}

/** Looks up what is known of this machine with this version. */
export const known = Effect.gen(function* () {
  const machine = yield* Calibration.machine(packageJson.version)
  const folder = yield* CalibrationCache.folder
  const kept: Kept = { folder, machine, ...(yield* CalibrationCache.read(folder, machine)) }
  return kept
})

/** Measures a load of the command line. `tokenizer`: the name of it, `undefined` for the one that needs no name. */
export const measure = (load: Load, tokenizer: string | undefined, options: Calibration.Options) => {
  if (load._tag === "Closed") return Calibration.measureClosed(load.config, options)
  const layer = Layer.merge(
    PromptMaker.layerWorker({
      seed: load.config.seed,
      promptMode: load.config.promptMode,
      samePrompts: load.config.samePrompts,
      blockTokens: load.schedule.prefix?.blockTokens ?? null,
      tokenizer
    }),
    Pacer.layerThread
  )
  return Effect.provide(Calibration.measureOpen(load.config, load.schedule, options), layer)
}

/** Keeps what was found, beside what was known. Returns the file, or `null` and a word when it cannot be written. */
export const keep = Effect.fnUntraced(function* (
  { calibrations, folder }: Kept,
  load: Parameters<typeof withLoad>[1],
  limits: Kept["calibrations"]["limits"]
) {
  const now = withLoad({ ...calibrations, limits: limits ?? calibrations.limits }, load)
  return yield* CalibrationCache.write(folder, now).pipe(
    Effect.map((file) => ({ file, remark: null })),
    Effect.catchTag("OutputError", ({ message }) => Effect.succeed({ file: null, remark: message }))
  )
})

/**
 * Measures a load before it is run, and keeps what was found. Whatever network the run itself needs, the null server is reached
 * directly.
 */
export const before = Effect.fnUntraced(function* (
  load: Load,
  tokenizer: string | undefined,
  options: Omit<Calibration.Options, "server"> = defaults
) {
  const server = yield* NullServer.start()
  const measured = yield* Effect.provide(measure(load, tokenizer, { ...options, server }), Transport.layer())
  const { remark } = yield* keep(yield* known, measured, null)
  return { load: measured, remark }
}, Effect.scoped)
