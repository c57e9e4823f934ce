import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import { during } from "./BenchError.ts"
import { type Environment } from "./Environment.ts"
import { type PartResult } from "./Part.ts"
import { Setup } from "./Setup.ts"

/** A ratio of two sides in one run of the bench: a median of its pairs. */
const Ratio = Schema.Struct({ value: Schema.Finite, better: Schema.Literals(["lower", "higher"]) })

/** What the bench keeps of a run, by the name of the part: its settings, and its ratios by what they are of. */
export const Recorded = Schema.Struct({
  date: Schema.String,
  environment: Schema.Record(Schema.String, Schema.Union([Schema.String, Schema.Finite])),
  parts: Schema.Record(
    Schema.String,
    Schema.Struct({ settings: Schema.String, ratios: Schema.Record(Schema.String, Ratio) })
  )
})

export interface Recorded extends Schema.Schema.Type<typeof Recorded> {}

/** What the ratios of a run depend on: a record is compared with runs on the same, if there is one. */
const sameMachine = (a: Recorded["environment"], b: Recorded["environment"]): boolean =>
  ["cpu", "cores", "server", "handwritten"].every((name) => a[name] === b[name])

/** A ratio that is worse than this part of the recorded one has fallen. */
const least = 0.75

/** The ratios of a run. */
export const of = (date: string, environment: Environment, parts: ReadonlyArray<PartResult>): Recorded => ({
  date,
  environment,
  parts: Object.fromEntries(
    parts.map(({ name, settings, rows }) => [
      name,
      {
        settings,
        ratios: Object.fromEntries(
          rows.flatMap(({ what, against, better }) =>
            against?.kind === "ratio" ? [[what, { value: against.median, better }]] : []
          )
        )
      }
    ])
  )
})

const folder = Effect.gen(function* () {
  const { root } = yield* Setup
  const path = yield* Path.Path
  return path.join(root, "bench", "history")
})

/** Writes a record; its name is its date. */
export const write = Effect.fn("History.write")(
  function* (record: Recorded) {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const file = path.join(yield* folder, `${record.date.replace(/\.\d+Z$/, "Z").replaceAll(":", "")}.json`)
    yield* fs.makeDirectory(yield* folder, { recursive: true })
    yield* fs.writeFileString(file, `${JSON.stringify(record, null, 2)}\n`)
    return file
  },
  Effect.mapError((error) => during("Writing a record of the bench")(error))
)

const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(Recorded))

/** All records, the oldest first. */
export const read = Effect.fn("History.read")(
  function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const directory = yield* folder
    if (!(yield* fs.exists(directory))) return []
    const names = (yield* fs.readDirectory(directory)).filter((name) => name.endsWith(".json"))
    return yield* Effect.forEach(names.toSorted(), (name) =>
      Effect.flatMap(fs.readFileString(path.join(directory, name)), (content) => decode(content))
    )
  },
  Effect.mapError((error) => during("Reading the records of the bench")(error))
)

/** A ratio then and now. `kept` is how much of it is left: 1 is the same, more is better. */
export interface Change {
  readonly part: string
  readonly what: string
  readonly before: number
  readonly now: number
  readonly kept: number
  readonly fell: boolean
}

export interface Comparison {
  readonly with: Recorded
  readonly onSameMachine: boolean
  readonly changes: ReadonlyArray<Change>
}

/** Compares a run with the newest record of the same machine that has one of its parts, else with the newest; `null` without. */
export const compare = (now: Recorded, records: ReadonlyArray<Recorded>): Comparison | null => {
  const usable = records.filter(({ parts }) =>
    Object.entries(now.parts).some(([name, { settings }]) => parts[name]?.settings === settings)
  )
  const same = usable.findLast(({ environment }) => sameMachine(environment, now.environment))
  const then = same ?? usable.at(-1)
  if (then === undefined) return null
  const changes = Object.entries(now.parts).flatMap(([part, { settings, ratios }]) => {
    const before = then.parts[part]
    if (before === undefined || before.settings !== settings) return []
    return Object.entries(ratios).flatMap(([what, { value, better }]) => {
      const old = before.ratios[what]
      if (old === undefined) return []
      const kept = better === "lower" ? old.value / value : value / old.value
      const change: Change = { part, what, before: old.value, now: value, kept, fell: kept < least }
      return [change]
    })
  })
  return { with: then, onSameMachine: same !== undefined, changes }
}

/** A comparison in lines. */
export const render = ({ with: then, onSameMachine, changes }: Comparison): string =>
  [
    `Compared with ${then.date}, llmperf ${then.environment["llmperf"]}${onSameMachine ? "" : ", on ANOTHER machine or against another side"}:`,
    ...changes.map(
      ({ part, what, before, now, kept, fell }) =>
        `- ${part}, ${what}: ${now.toFixed(2)}×, was ${before.toFixed(2)}×, ${Math.round(kept * 100)} % of it kept${fell ? ": FELL by more than 25 %" : ""}`
    )
  ].join("\n")
