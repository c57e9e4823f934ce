import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { PlatformError } from "effect/PlatformError"
import * as Stream from "effect/Stream"
import { type Command } from "effect/cli"
import { type Schedule } from "../../domain/Schedule.ts"
import { fromPlatformError } from "../../output/OutputError.ts"
import * as AtomicFile from "../../output/AtomicFile.ts"
import * as SchedulePlot from "../../output/SchedulePlot.ts"
import * as Screen from "../../output/Screen.ts"
import * as ScheduleEdit from "../../workload/ScheduleEdit.ts"
import * as ScheduleFile from "../../workload/ScheduleFile.ts"
import * as Tokenizer from "../../workload/Tokenizer.ts"
import * as PrefixSharing from "../../workload/trace/PrefixSharing.ts"
import { usage } from "../CommandError.ts"
import { type convertFlags, type generateFlags, type inspectFlags } from "../internal/scheduleFlags.ts"
import { arrivalsOf, draw, type EditInput, editsOf } from "../internal/scheduleInput.ts"
import * as StandardOutput from "../internal/standardOutput.ts"

type InspectInput = Command.Command.Config.Infer<typeof inspectFlags>
type ConvertInput = Command.Command.Config.Infer<typeof convertFlags>
type GenerateInput = Command.Command.Config.Infer<typeof generateFlags>

/** Reads the file and makes the changes; what is wrong with either is wrong use. */
const load = Effect.fnUntraced(
  function* (file: string, input: EditInput) {
    const loaded = yield* ScheduleFile.load(file, { mapping: Option.getOrUndefined(input.map) })
    const schedule = yield* Effect.fromResult(ScheduleEdit.apply(loaded.schedule, editsOf(input)))
    return { ...loaded, schedule }
  },
  Effect.catchTags({
    ScheduleError: (error) => Effect.fail(usage(error.message)),
    EditError: (error) => Effect.fail(usage(error.message))
  })
)

const skippedText = ({ rows, skipped, skippedWhat }: ScheduleFile.Loaded): string =>
  `${skipped} of ${rows} rows are left out: ${skippedWhat}`

const sourceFacts = (loaded: ScheduleFile.Loaded): ReadonlyArray<SchedulePlot.Fact> => {
  const how = loaded.syntax === "csv" ? "CSV" : "JSON lines"
  return [
    ["format", `${loaded.format.title} (${loaded.format.name}), ${how}${loaded.compressed ? ", gzip" : ""}`],
    ["rows", `${loaded.rows}${loaded.sorted ? "" : ", not in the order of time"}`],
    ...(loaded.skipped === 0 ? [] : [["left out", skippedText(loaded)] as const])
  ]
}

const share = (part: number, whole: number): string => `${((part / whole) * 100).toFixed(1)} %`

const prefixFacts = (sharing: PrefixSharing.PrefixSharing, inputTokens: number): ReadonlyArray<SchedulePlot.Fact> => [
  [
    "prefix blocks",
    `${sharing.blocks} of ${sharing.blockTokens} tokens, ${sharing.distinctBlocks} different, ${share(sharing.blocksSeenBefore, sharing.blocks)} seen before`
  ],
  ["prefix cache", `without limit it would find ${share(sharing.cachedInputTokens, inputTokens)} of the input tokens`]
]

/** `llmperf schedule inspect`. */
export const inspect = Effect.fn("schedule.inspect")(function* (input: InspectInput) {
  const loaded = yield* load(input.file, input)
  const { schedule } = loaded
  const sharing = PrefixSharing.measure(schedule)
  if (input.json) {
    const document = {
      file: input.file,
      format: loaded.format.name,
      syntax: loaded.syntax,
      compressed: loaded.compressed,
      rows: loaded.rows,
      skipped: loaded.skipped,
      skipped_what: loaded.skippedWhat,
      sorted: loaded.sorted,
      ...SchedulePlot.measure(schedule),
      prefix:
        sharing === null
          ? null
          : {
              block_tokens: sharing.blockTokens,
              blocks: sharing.blocks,
              distinct_blocks: sharing.distinctBlocks,
              blocks_seen_before: sharing.blocksSeenBefore,
              cached_input_tokens: sharing.cachedInputTokens
            }
    }
    return yield* Console.log(JSON.stringify(document, null, 4))
  }
  const screen = yield* Screen.detect("stdout")
  const measures = SchedulePlot.measure(schedule, SchedulePlot.binsFor(screen.columns))
  const text = SchedulePlot.render(
    {
      title: input.file,
      source: sourceFacts(loaded),
      measures,
      prefix: sharing === null ? [] : prefixFacts(sharing, measures.input_tokens.total)
    },
    screen
  )
  return yield* Console.log(text.trimEnd())
})

const cannotWrite = (target: string) => (error: PlatformError) =>
  StandardOutput.cannotWrite(
    target,
    error.reason._tag === "NotFound" ? "its folder does not exist" : fromPlatformError(target)(error).problem
  )

const write = Effect.fnUntraced(function* (output: Option.Option<string>, schedule: Schedule) {
  const parts = Stream.fromIterable(ScheduleFile.toCsv(schedule))
  return yield* Option.isSome(output)
    ? AtomicFile.write(output.value, parts, cannotWrite(output.value))
    : StandardOutput.write(parts)
})

/** `llmperf schedule convert`. */
export const convert = Effect.fn("schedule.convert")(function* (input: ConvertInput) {
  const loaded = yield* load(input.file, input)
  if (loaded.skipped > 0) yield* Console.error(skippedText(loaded))
  yield* write(input.output, loaded.schedule)
})

/** `llmperf schedule generate`. */
export const generate = Effect.fn("schedule.generate")(function* (input: GenerateInput) {
  const schedule = yield* draw({
    arrivals: yield* arrivalsOf(input, Option.getOrNull(input.limit)),
    input: { mean: input.meanInputTokens, stddev: input.stddevInputTokens },
    output: { mean: input.meanOutputTokens, stddev: input.stddevOutputTokens },
    conversations: input.turns === 1 ? null : { turns: input.turns, thinkSeconds: input.thinkTime },
    promptMode: "exact",
    samePrompts: false,
    seed: input.seed,
    countFlag: "--limit"
  })
  return yield* write(input.output, schedule)
}, Effect.provide(Tokenizer.layerLlama))
