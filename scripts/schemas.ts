/**
 * Writes the JSON Schemas of our files into `docs/schemas/`, from the definitions that write and read them. With `--check` it
 * writes nothing and fails when they are not as they would be written.
 */
import * as JsonSchema from "effect/JsonSchema"
import * as Schema from "effect/Schema"
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Calibrations } from "../src/domain/CalibrationResults.ts"
import { CorrectnessRecord, CorrectnessSummary } from "../src/domain/CorrectnessResults.ts"
import { RequestRecord } from "../src/domain/RequestRecord.ts"
import { Summary } from "../src/domain/Summary.ts"
import * as CalibrationFields from "../src/output/CalibrationFields.ts"
import * as RunFields from "../src/output/RunFields.ts"
import * as RunManifest from "../src/output/RunManifest.ts"
import * as ThresholdReport from "../src/output/ThresholdReport.ts"
import * as VerdictText from "../src/output/VerdictText.ts"
import * as Texts from "./schemaTexts.ts"

type Json = JsonSchema.JsonSchema

interface Described {
  readonly title: string
  readonly description: string
}

const isObject = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value)

const propertiesOf = (schema: Json): { readonly [key: string]: Json } => {
  const properties: unknown = schema["properties"]
  if (!isObject(properties)) return {}
  return Object.fromEntries(
    Object.entries(properties).flatMap(([key, value]) => (isObject(value) ? [[key, value]] : []))
  )
}

/** The schema of what stands in the file. Keys that are not in it are allowed: later versions may add some. */
const generated = (schema: Schema.Constraint): Json => {
  const { definitions, schema: json } = Schema.toJsonSchemaDocument(schema)
  if (Object.keys(definitions).length > 0) throw new Error("the files have no recursive parts")
  return json
}

/** Gives every property its text; one without a text is an error. */
const described = (schema: Json, texts: Texts.Texts): Json => {
  const result: Json = {}
  for (const [key, value] of Object.entries(schema)) {
    if (key === "properties" && isObject(value)) {
      result[key] = Object.fromEntries(
        Object.entries(propertiesOf(schema)).map(([name, property]) => {
          const text = property["description"] ?? texts[name]
          if (text === undefined) throw new Error(`no text says what ${name} is`)
          return [name, { description: text, ...described(property, texts) }]
        })
      )
    } else if (key === "anyOf" && Array.isArray(value)) {
      result[key] = value.map((member: unknown) => (isObject(member) ? described(member, texts) : member))
    } else result[key] = key === "items" && isObject(value) ? described(value, texts) : value
  }
  return result
}

const document = (name: string, { description, title }: Described, schema: Json): readonly [string, Json] => [
  `${name}.json`,
  { $schema: JsonSchema.META_SCHEMA_URI_DRAFT_2020_12, $id: `${name}.json`, title, description, ...schema }
]

const listOf = (schema: Json): Json => ({ type: "array", items: schema })

const RecordTexts = { ...Texts.record, ...Texts.correctness }

/** A value given with --metadata may stand in its place, and is a text. */
const orText = (...types: ReadonlyArray<string>): Json => ({
  type: types.length === 0 ? "string" : [...types, "string"]
})

/** The results under the names that they have in the file: nested names are joined, what has no fixed names is not. */
const flattened = (schema: Json, name: string, group: string, part: string): ReadonlyArray<readonly [string, Json]> => {
  const properties = Object.entries(propertiesOf(schema))
  if (properties.length > 0) {
    return properties.flatMap(([key, property]) => {
      const isGroup = ["failed_as_infinite", "littles_law"].includes(group)
      return group === "" || isGroup
        ? flattened(property, name === "" ? key : `${name}_${key}`, name === "" ? key : `${group}_${key}`, "")
        : flattened(property, `${name}_${key}`, group, part === "" ? key : `${part}_${key}`)
    })
  }
  const text = Texts.summary[group] ?? Texts.record[group]
  const partText = part === "" ? "" : Texts.parts[part]
  if (text === undefined || partText === undefined) throw new Error(`no text says what ${name} is`)
  return [
    [name, { description: partText === "" ? text : `${partText}. ${text}`, ...described(schema, Texts.errorGroup) }]
  ]
}

/** Keys by their name, and by how their name begins. */
interface Keys {
  readonly named: ReadonlyArray<readonly [name: string, schema: Json]>
  readonly patterns: ReadonlyArray<readonly [pattern: string, schema: Json]>
}

const together = (all: ReadonlyArray<Keys>): Keys => ({
  named: all.flatMap(({ named }) => named),
  patterns: all.flatMap(({ patterns }) => patterns)
})

/** What a key is: by its name, or by that of its group and by what it is of that. */
const textOf = (name: string, texts: Texts.Texts): string => {
  for (const [part, partText] of [["", ""], ...Object.entries(Texts.parts)] as const) {
    const group = part === "" ? name : name.slice(0, -part.length - 1)
    const text = texts[group]
    if (text !== undefined && name === (part === "" ? group : `${group}_${part}`)) {
      return partText === "" ? text : `${partText}. ${text}`
    }
  }
  throw new Error(`no text says what ${name} is`)
}

/** A part of a summary under the names that it has there: those of nested objects are joined. */
const flatKeys = (schema: Json, name: string, texts: Texts.Texts): Keys => {
  const properties = Object.entries(propertiesOf(schema))
  if (properties.length > 0) {
    return together(
      properties.map(([key, property]) => flatKeys(property, name === "" ? key : `${name}_${key}`, texts))
    )
  }
  const members: unknown = schema["anyOf"]
  const parts = (Array.isArray(members) ? members : []).filter(isObject)
  const object = parts.find((part) => part["type"] === "object")
  if (object !== undefined) {
    const others = parts.filter((part) => part !== object)
    return together([flatKeys(object, name, texts), ...others.map((part) => flatKeys(part, name, texts))])
  }
  // An object whose keys are not known beforehand
  if (schema["type"] === "object") return { named: [], patterns: patternsOf(schema, name) }
  return {
    named: [[name, { description: textOf(name, texts), ...described(schema, Texts.lists) }]],
    patterns: []
  }
}

const patternsOf = (schema: Json, name: string): Keys["patterns"] => {
  const values: unknown = schema["additionalProperties"]
  const properties = isObject(values) ? Object.entries(propertiesOf(values)) : []
  const description = Texts.begins[name]
  if (description === undefined) throw new Error(`no text says what ${name}_… is`)
  return properties.length === 0
    ? [[`^${name}_`, { description, ...(isObject(values) ? values : {}) }]]
    : properties.map(([key, property]) => [`^${name}_.+_${key}$`, { description, ...property }])
}

/** A value given with --metadata may stand in the place of each. */
const orTexts = ({ named, patterns }: Keys): Keys => ({ named: named.map(orTextOf), patterns: patterns.map(orTextOf) })

const orTextOf = ([name, { description, ...schema }]: readonly [string, Json]): readonly [string, Json] => {
  const { type, ...others } = schema
  if (typeof type !== "string" && !("anyOf" in schema)) return [name, { description, ...schema }]
  if (type === "string" && Object.keys(others).length === 0) return [name, { description, type }]
  const members: unknown = schema["anyOf"]
  return [
    name,
    { description, anyOf: [...(Array.isArray(members) ? members.filter(isObject) : [schema]), { type: "string" }] }
  ]
}

const Thresholds = Schema.Struct({ thresholds: Schema.Array(ThresholdReport.ThresholdFields) })

/** What a summary says of the run and of the client besides results. */
const more = (): Keys => {
  const ofClient = [VerdictText.VerdictFields, CalibrationFields.CalibrationFields]
  const ofRuns = [RunFields.RunFields, Thresholds]
  return together([
    orTexts(together(ofRuns.map((part) => flatKeys(generated(part), "", Texts.run)))),
    ...ofClient.map((part) => flatKeys(generated(part), "", Texts.client)),
    { named: [], patterns: patternsOf({}, "additional_sampling_params") }
  ])
}

const results = (prefix: string): ReadonlyArray<readonly [string, Json]> =>
  flattened(generated(Summary), "", "", "").map(([name, schema]) => [`${prefix}${name}`, schema])

const ofRun: { readonly [key: string]: Json } = {
  version: orText(),
  name: orText(),
  model: orText(),
  run_id: orText(),
  llm_api: orText(),
  tokenizer: orText(),
  count_tokens: orText(),
  seed: orText("integer"),
  timeout_s: orText("number", "null"),
  request_timeout_s: orText("number", "null"),
  start_time: orText("number"),
  stopped: orText("null"),
  analysis_from_s: { type: "number" },
  analysis_to_s: { type: ["number", "null"] },
  analysis_skip_first: { type: "integer" },
  analysis_only: { type: ["string", "null"] },
  analysis_num_requests_left_out: { type: "integer" }
}

const ofLoadTest: { readonly [key: string]: Json } = {
  ...ofRun,
  mean_input_tokens: orText("number"),
  stddev_input_tokens: orText("number"),
  mean_output_tokens: orText("number"),
  stddev_output_tokens: orText("number"),
  num_concurrent_requests: orText("integer", "null"),
  prompt_mode: orText(),
  max_num_completed_requests: orText("integer", "null")
}

const ofSchedule: { readonly [key: string]: Json } = {
  ...ofRun,
  num_concurrent_requests: orText(),
  num_launched: orText("integer"),
  num_unsampled: orText("integer"),
  schedule_file: orText(),
  results_subdir: orText("null"),
  prompt_mode: orText()
}

const ofCorrectness: { readonly [key: string]: Json } = {
  ...ofRun,
  num_concurrent_requests: orText("integer"),
  test: orText(),
  max_num_completed_requests: orText("integer")
}

/** The flat object of a summary; what is needed to read one is required. */
const summary = (
  about: { readonly [key: string]: Json },
  prefix: string,
  answers: ReadonlyArray<readonly [string, Json]> = []
): Json => {
  const made = results(prefix)
  const first = described({ properties: about }, Texts.about)
  const { named, patterns } = more()
  return {
    type: "object",
    properties: {
      ...propertiesOf(first),
      ...Object.fromEntries(answers),
      ...Object.fromEntries(made),
      ...Object.fromEntries(named),
      timestamp: { description: Texts.about["timestamp"], type: "integer" }
    },
    patternProperties: Object.fromEntries(patterns),
    required: ["version", "name", "model", ...made.map(([name]) => name), "timestamp"],
    additionalProperties: true
  }
}

const manifestKeys = {
  runId: "run_id",
  resultsPrefix: "results_prefix",
  startTime: "start_time",
  openLoop: "open_loop"
} as const

const Num = Schema.NullOr(Schema.Finite)
const Text = Schema.NullOr(Schema.String)

/** As `SentLog.line` writes it. */
const SentLine = Schema.Struct({
  request_id: Schema.Int,
  scheduled_offset_s: Schema.Finite,
  dispatch_offset_s: Num,
  dispatch_lag_s: Num,
  dispatch_ts_utc: Text,
  response_offset_s: Num,
  response_ts_utc: Text,
  status: RequestRecord.fields.status,
  error_code: RequestRecord.fields.error_code,
  error_reason: RequestRecord.fields.error_reason,
  input_tokens: RequestRecord.fields.number_input_tokens,
  output_tokens: RequestRecord.fields.number_output_tokens,
  scheduled_ttft_s: Num,
  scheduled_end_to_end_latency_s: Num,
  unsampled: Schema.optionalKey(Schema.Literal(true))
})

/** As `CorrectnessFiles.response` makes it; `metrics` is a record. */
const CorrectnessResponse = Schema.Struct({
  generated_text: CorrectnessRecord.fields.generated_text,
  request_config: Schema.Struct({
    model: Schema.String,
    prompt: Schema.Tuple([Schema.String, Schema.Int]),
    sampling_params: Schema.Record(Schema.String, Schema.Unknown),
    llm_api: Schema.String,
    metadata: Schema.Struct({ rnd_number: Schema.Int })
  }),
  verdict: CorrectnessRecord.fields.verdict
})

const correctnessResponse = (): Json => {
  const { properties, required, ...rest } = described(generated(CorrectnessResponse), Texts.correctnessResponse)
  return {
    ...rest,
    properties: {
      metrics: { description: Texts.correctnessResponse["metrics"], $ref: "record.json" },
      ...(isObject(properties) ? properties : {})
    },
    required: ["metrics", ...(Array.isArray(required) ? required : [])]
  }
}

const flatAnswers = (): ReadonlyArray<readonly [string, Json]> =>
  Object.entries(propertiesOf(described(generated(CorrectnessSummary), Texts.correctnessSummary)))

/**
 * The schemas by the name of their file.
 */
export const schemas = (): ReadonlyMap<string, Json> =>
  new Map([
    document(
      "record",
      { title: "Request record", description: "A line of records.ndjson of a load test or of a schedule" },
      described(generated(RequestRecord), RecordTexts)
    ),
    document(
      "individual-responses",
      {
        title: "Individual responses",
        description: "<model>_<in>_<out>_individual_responses.json, or individual_responses.json of a schedule"
      },
      listOf({ $ref: "record.json" })
    ),
    document(
      "summary",
      { title: "Summary of a load test", description: "<model>_<in>_<out>_summary.json: a flat object" },
      summary(ofLoadTest, "results_")
    ),
    document(
      "schedule-summary",
      { title: "Summary of a schedule", description: "summary.json in the folder of a schedule: a flat object" },
      summary(ofSchedule, "")
    ),
    document(
      "run",
      { title: "Run", description: "run.json: what a run is, written before its first request" },
      described(
        generated(
          Schema.Struct({ format: Schema.Literal(RunManifest.FORMAT), ...RunManifest.RunManifest.fields }).pipe(
            Schema.encodeKeys(manifestKeys)
          )
        ),
        Texts.manifest
      )
    ),
    document(
      "requests-sent",
      { title: "Request sent", description: "A line of requests_sent.log in the folder of a schedule" },
      described(generated(SentLine), { ...Texts.record, ...Texts.sentLine })
    ),
    document(
      "correctness-record",
      { title: "Record of a correctness test", description: "A line of records.ndjson of a correctness test" },
      described(generated(CorrectnessRecord), RecordTexts)
    ),
    document(
      "correctness-individual-responses",
      {
        title: "Individual responses of a correctness test",
        description: "<model>_correctness_individual_responses.json"
      },
      listOf(correctnessResponse())
    ),
    document(
      "correctness-summary",
      { title: "Summary of a correctness test", description: "<model>_correctness_summary.json: a flat object" },
      summary(ofCorrectness, "results_", flatAnswers())
    ),
    document(
      "calibration",
      { title: "Calibration", description: "calibration-<machine>.json in the cache folder" },
      described(generated(Schema.Struct({ format: Schema.Literal(1), ...Calibrations.fields })), Texts.calibration)
    )
  ])

const WIDTH = 120

/** Short lists stand in one line, as the formatter of this repository has it. */
const stringify = (schema: Json): string =>
  `${JSON.stringify(schema, null, 2)}\n`.replaceAll(
    /^( *.*)\[\n([^[\]{}]*)\n *\](,?)$/gm,
    (whole, start, inside, end) => {
      const line = `${start}[${inside.trim().replaceAll(/,\n */g, ", ")}]${end}`
      return line.length > WIDTH ? whole : line
    }
  )

/**
 * As the schemas stand in their files.
 */
export const texts = (): ReadonlyMap<string, string> =>
  new Map([...schemas()].map(([name, schema]) => [name, stringify(schema)]))

/**
 * The names of files in `folder` that are not as they would be written.
 */
export const differing = (folder: string): ReadonlyArray<string> => {
  const wanted = texts()
  const there = new Map(
    readdirSync(folder)
      .filter((name) => name.endsWith(".json"))
      .map((name) => [name, readFileSync(join(folder, name), "utf8")])
  )
  return [...new Set([...wanted.keys(), ...there.keys()])].filter((name) => wanted.get(name) !== there.get(name))
}

if (import.meta.main) {
  const folder = join(import.meta.dirname, "..", "docs", "schemas")
  mkdirSync(folder, { recursive: true })
  if (process.argv.includes("--check")) {
    const names = differing(folder)
    if (names.length > 0) {
      process.stderr.write(
        `docs/schemas is behind the definitions: ${names.join(", ")}\nRun: node scripts/schemas.ts\n`
      )
      process.exitCode = 1
    } else process.stdout.write(`${texts().size} schemas in docs/schemas are those of the definitions\n`)
  } else {
    for (const name of differing(folder)) rmSync(join(folder, name), { force: true })
    for (const [name, text] of texts()) writeFileSync(join(folder, name), text)
  }
}
