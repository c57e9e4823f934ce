/**
 * Reads schedules and traces of requests from files, and writes schedules.
 *
 * What a file is shows in its first bytes and in the names of its columns or keys: LLMPerf's schedule, the public traces
 * of Azure, Mooncake, Bailian and BurstGPT, or any other table when it is said which column holds what; as CSV or as JSON
 * lines, packed with gzip or not. docs/schedules.md describes them all.
 *
 * @since 0.2.0
 */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type { PlatformError } from "effect/PlatformError"
import * as Schema from "effect/Schema"
import type { Schedule } from "../domain/Schedule.ts"
import * as ScheduleCsv from "./internal/scheduleCsv.ts"
import * as ScheduleJson from "./internal/scheduleJson.ts"
import * as Problems from "./internal/scheduleProblems.ts"
import * as Rows from "./internal/scheduleRows.ts"
import * as ScheduleText from "./internal/scheduleText.ts"
import type { Format } from "./trace/Format.ts"
import * as Formats from "./trace/Formats.ts"
import * as Llmperf from "./trace/Llmperf.ts"
import * as Mapped from "./trace/Mapped.ts"

/**
 * Something that is wrong at one place of a file.
 *
 * - `line`: from 1, the header counted; `null` when it is about the whole file
 * - `column`: name of the column or key; `null` when it is about the whole line
 * - `value`: what is there, the beginning of it when it is long; `null` when there is nothing
 * - `expected`: what should be there
 *
 * @category models
 * @since 0.2.0
 */
export const Problem = Schema.Struct({
  line: Schema.NullOr(Schema.Int),
  column: Schema.NullOr(Schema.String),
  value: Schema.NullOr(Schema.String),
  expected: Schema.String
})

/**
 * @category models
 * @since 0.2.0
 */
export interface Problem extends Schema.Schema.Type<typeof Problem> {}

/**
 * How many problems an error holds at most.
 *
 * @category constants
 * @since 0.2.0
 */
export const MAXIMUM_PROBLEMS = 20

const MAPPING_ADVICE = "Other names of columns can be given: --map offset=COLUMN,input=COLUMN,output=COLUMN"

const lineOf = ({ column, expected, line, value }: Problem): string => {
  const place = [line === null ? [] : [`line ${line}`], column ?? []].flat().join(", ")
  const found = value === null ? "" : `got ${JSON.stringify(value)}, `
  return `${place === "" ? "" : `${place}: `}${found}expected ${expected}`
}

/**
 * The file cannot be opened, read or unpacked.
 *
 * @category reasons
 * @since 0.2.0
 */
export class Unreadable extends Schema.TaggedError<Unreadable>("llmperf/workload/ScheduleFile/Unreadable")(
  "Unreadable",
  { description: Schema.String }
) {
  override get message(): string {
    return `cannot be read: ${this.description}`
  }
}

/**
 * The file is no schedule. All of it was checked: `count` problems were found, of which `problems` are the first 20.
 * When its columns are not the right ones (`wrongColumns`), the rows were not looked at.
 *
 * @category reasons
 * @since 0.2.0
 */
export class Invalid extends Schema.TaggedError<Invalid>("llmperf/workload/ScheduleFile/Invalid")("Invalid", {
  problems: Schema.Array(Problem),
  count: Schema.Int,
  wrongColumns: Schema.Boolean
}) {
  override get message(): string {
    const many = this.count === 1 ? "1 problem" : `${this.count} problems`
    const first = this.count > this.problems.length ? `, the first ${this.problems.length} are` : ""
    const advice = this.wrongColumns ? `\n${MAPPING_ADVICE}` : ""
    return `${many}${first}\n${this.problems.map((problem) => `  ${lineOf(problem)}`).join("\n")}${advice}`
  }
}

/**
 * A schedule cannot be had from the file at `path`; `reason` says why.
 *
 * @category errors
 * @since 0.2.0
 */
export class ScheduleError extends Schema.TaggedError<ScheduleError>("llmperf/workload/ScheduleFile/ScheduleError")(
  "ScheduleError",
  { path: Schema.String, reason: Schema.Union([Unreadable, Invalid]) }
) {
  override get message(): string {
    return `${this.path}: ${this.reason.message}`
  }
}

/**
 * - `mapping`: which columns hold what, for files of no known format. When it is given, nothing is guessed
 * - `minimumInputTokens`: the shortest prompt, in tokens, that can be built when answers have so many output tokens; shorter
 *   rows are problems. Rows with prefix blocks are free of it: their prompts carry no instruction
 *
 * @category models
 * @since 0.2.0
 */
export interface ReadOptions {
  readonly mapping?: Mapped.Mapping | undefined
  readonly minimumInputTokens?: ((outputTokens: number) => number) | undefined
}

/**
 * A schedule and what was seen when it was read.
 *
 * - `compressed`: the file is packed with gzip; `syntax`: what it is a file of
 * - `rows`: rows of the file; `skipped`: those of them that are no requests to replay, `skippedWhat` says what they were
 * - `sorted`: the rows were in the order of time
 *
 * @category models
 * @since 0.2.0
 */
export interface Loaded {
  readonly schedule: Schedule
  readonly format: Format
  readonly syntax: "csv" | "jsonl"
  readonly compressed: boolean
  readonly rows: number
  readonly skipped: number
  readonly skippedWhat: string | null
  readonly sorted: boolean
}

const whatIsEmpty = (rows: Rows.Rows | undefined, format: Format | undefined): string =>
  rows === undefined || rows.rows() === 0
    ? "at least one row"
    : `a row to replay; all ${rows.rows()} are ${format?.skipZero ?? "left out"}`

/**
 * Reads and checks the whole file and gives its requests in the order in which they are due; those due at the same moment
 * stay in the order of the file, and `id` is the number of the row in the file.
 *
 * Times of traces count from the earliest request and are exact to 100 ns; a schedule's own offsets are kept as they are. Takes
 * memory for the columns of the result and for the labels of sessions, not for the text.
 *
 * Fails with `ScheduleError`.
 *
 * @category reading
 * @since 0.2.0
 */
export const load = Effect.fn("ScheduleFile.load")(function* (
  path: string,
  options: ReadOptions = {}
): Effect.fn.Return<Loaded, ScheduleError, FileSystem.FileSystem> {
  const { mapping } = options
  const problems = Problems.make(MAXIMUM_PROBLEMS)
  let format: Format | undefined
  let sawColumns = false
  const target: ScheduleCsv.Target = {
    problems,
    formatOf: (columns) => {
      sawColumns = true
      return mapping === undefined ? Formats.recognise(columns) : Mapped.make(mapping)
    },
    rowsOf: (found, cellOf) => {
      format = found
      return Rows.make(found, cellOf, problems, options.minimumInputTokens)
    }
  }

  const reading = Effect.gen(function* () {
    const text = yield* ScheduleText.open(path)
    const syntax = text.first === "{" || text.first === "[" ? "jsonl" : "csv"
    const rows = yield* (syntax === "jsonl" ? ScheduleJson : ScheduleCsv).read(text.parts, target)
    return { rows, syntax, compressed: text.compressed } as const
  })
  const { compressed, rows, syntax } = yield* Effect.scoped(reading).pipe(
    Effect.catchTags({
      PlatformError: (error) => new ScheduleError({ path, reason: new Unreadable({ description: whatFailed(error) }) }),
      GzipError: ({ description }) =>
        new ScheduleError({ path, reason: new Unreadable({ description: `it is not whole gzip: ${description}` }) })
    })
  )
  if (problems.count() === 0 && (rows === undefined || rows.columns.length() === 0)) {
    problems.add(null, null, undefined, whatIsEmpty(rows, format))
  }
  if (problems.count() > 0 || rows === undefined || format === undefined) {
    return yield* new ScheduleError({
      path,
      reason: new Invalid({
        problems: problems.kept,
        count: problems.count(),
        wrongColumns: rows === undefined && sawColumns
      })
    })
  }
  const skipped = rows.skipped()
  return {
    ...rows.finish(),
    format,
    syntax,
    compressed,
    rows: rows.rows(),
    skipped,
    skippedWhat: skipped === 0 ? null : format.skipZero
  }
})

/**
 * `load`, when only the schedule is wanted.
 *
 * @category reading
 * @since 0.2.0
 */
export const read = (
  path: string,
  options?: ReadOptions
): Effect.Effect<Schedule, ScheduleError, FileSystem.FileSystem> =>
  Effect.map(load(path, options), ({ schedule }) => schedule)

const whatFailed = ({ message, reason }: PlatformError): string => {
  switch (reason._tag) {
    case "NotFound":
      return "there is no such file"
    case "PermissionDenied":
      return "permission denied"
    case "BadResource":
      return "it is no regular file"
    default:
      return message
  }
}

const ROWS_PER_PART = 2_000

/** The shortest decimal that reads back as the same double, never with an exponent when it is below 1e21. */
const decimal = (value: number): string => {
  const text = String(value)
  const [, digits = "", rest = "", zeros] = /^(\d)(?:\.(\d+))?e-(\d+)$/.exec(text) ?? []
  return zeros === undefined ? text : `0.${"0".repeat(Number(zeros) - 1)}${digits}${rest}`
}

/**
 * A schedule as LLMPerf's CSV, in parts of some thousand rows. Read again it is the same schedule, to the last bit, its rows
 * numbered anew. Sessions and prefix blocks get columns of their own when it has any; other programs leave those aside.
 *
 * @category writing
 * @since 0.2.0
 */
export function* toCsv(schedule: Schedule): Generator<string> {
  const { inputTokens, length, offsetSeconds, outputTokens, prefix, session } = schedule
  const columns = ["scheduled_offset_s", "input_tokens", "output_tokens"]
  if (session !== null) columns.push("session")
  if (prefix !== null) columns.push(Llmperf.blocksColumn(prefix.blockTokens))
  yield `${columns.join(",")}\n`
  for (let from = 0; from < length; from += ROWS_PER_PART) {
    let part = ""
    for (let row = from; row < Math.min(length, from + ROWS_PER_PART); row++) {
      part += `${decimal(offsetSeconds[row] ?? 0)},${inputTokens[row]},${outputTokens[row]}`
      if (session !== null) part += `,${session[row] || ""}`
      if (prefix !== null) part += `,${prefix.ids.subarray(prefix.start[row], prefix.start[row + 1]).join(" ")}`
      part += "\n"
    }
    yield part
  }
}
