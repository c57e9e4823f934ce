import * as Schema from "effect/Schema"
import { SimulatorError } from "../SimulatorError.ts"

/** What the thread of the server says once: where it listens, or why it does not. */
export const Reply = Schema.Union([
  Schema.TaggedStruct("Listening", { url: Schema.String }),
  Schema.TaggedStruct("Failed", { error: SimulatorError })
])

export type Reply = typeof Reply.Type

/** What it is told: to end. */
export const stop = "stop"
