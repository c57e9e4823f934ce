/** What the thread that sends requests and the one that sends their spans say to each other. */
import * as Schema from "effect/Schema"
import { Protocol } from "../OtlpCollector.ts"
import { Packed } from "./otlpRows.ts"
import { Run, Subject } from "./otlpSpan.ts"

/** What the thread is started with. */
export const WorkerData = Schema.Struct({
  subject: Subject,
  url: Schema.String,
  headers: Schema.Record(Schema.String, Schema.String),
  protocol: Protocol,
  gzip: Schema.Boolean,
  timeoutSeconds: Schema.Finite
})

export interface WorkerData extends Schema.Schema.Type<typeof WorkerData> {}

/** `End` is the last: what is left is to be sent now. */
export const Order = Schema.Union([
  Schema.TaggedStruct("Rows", { packed: Packed }),
  Schema.TaggedStruct("End", { run: Schema.NullOr(Run) })
])

export type Order = typeof Order.Type

/** `Progress`: so many more spans were sent or given up; `Done`: there is nothing left. */
export const Reply = Schema.Union([
  Schema.TaggedStruct("Ready", {}),
  Schema.TaggedStruct("Progress", {
    sent: Schema.Finite,
    failed: Schema.Finite,
    problem: Schema.NullOr(Schema.String)
  }),
  Schema.TaggedStruct("Done", {})
])

export type Reply = typeof Reply.Type
