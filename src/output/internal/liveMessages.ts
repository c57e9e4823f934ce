/** What the thread of a run and the one that tells its metrics say to each other. */
import * as Schema from "effect/Schema"
import { Reading } from "../../metrics/RunMetrics.ts"
import { Protocol } from "../OtlpCollector.ts"
import { Subject } from "./otlpMetrics.ts"

/** What the thread is started with. `server`: where it listens; `collector`: where it pushes to; `null` for neither. */
export const WorkerData = Schema.Struct({
  subject: Subject,
  server: Schema.NullOr(Schema.Struct({ host: Schema.String, port: Schema.Int })),
  collector: Schema.NullOr(
    Schema.Struct({
      url: Schema.String,
      headers: Schema.Record(Schema.String, Schema.String),
      protocol: Protocol,
      gzip: Schema.Boolean,
      timeoutSeconds: Schema.Finite
    })
  )
})

export interface WorkerData extends Schema.Schema.Type<typeof WorkerData> {}

/** `Finish`: the last reading was the last. It is pushed, and served on. */
export const Order = Schema.Union([
  Schema.TaggedStruct("Reading", { reading: Reading }),
  Schema.TaggedStruct("Finish", {})
])

export type Order = typeof Order.Type

/** `Ready` and `Failed` come first, one or the other; `Pushed` after every push, `Finished` once there will be no more. */
export const Reply = Schema.Union([
  Schema.TaggedStruct("Ready", { url: Schema.NullOr(Schema.String) }),
  Schema.TaggedStruct("Failed", { problem: Schema.String, advice: Schema.String }),
  Schema.TaggedStruct("Pushed", { problem: Schema.NullOr(Schema.String) }),
  Schema.TaggedStruct("Finished", {})
])

export type Reply = typeof Reply.Type
