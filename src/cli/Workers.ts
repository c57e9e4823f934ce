/**
 * Threads that send the requests of a load test together.
 *
 * @since 0.2.0
 */
import { Worker } from "node:worker_threads"
import * as Schema from "effect/Schema"
import * as Fleet from "../engine/Fleet.ts"

/**
 * What a thread is started with: the arguments of the command, which it reads as this thread did, and what they do not say.
 *
 * - `runId`: the name of the run
 * - `simulator`: where the simulated server is, if the test is of one
 * - `isOpen`: whether requests are sent when they are due
 *
 * @category models
 * @since 0.2.0
 */
export const WorkerData = Schema.Struct({
  args: Schema.Array(Schema.String),
  runId: Schema.String,
  simulator: Schema.NullOr(Schema.String),
  isOpen: Schema.Boolean
})

/**
 * @category models
 * @since 0.2.0
 */
export interface WorkerData extends Schema.Schema.Type<typeof WorkerData> {}

// The script lies beside this module, as .ts in development and as .js once bundled.
const script = (): URL => {
  const extension = import.meta.url.slice(import.meta.url.lastIndexOf("."))
  return new URL(`./LoadAgentWorker${extension}`, import.meta.url)
}

/**
 * Starts threads, which end with the scope. They have the environment of this one, with its credentials.
 *
 * @category constructors
 * @since 0.2.0
 */
export const start = (count: number, workerData: WorkerData) =>
  Fleet.workers({
    count,
    spawn: (index) => new Worker(script(), { name: `llmperf-worker-${index + 1}`, workerData })
  })
