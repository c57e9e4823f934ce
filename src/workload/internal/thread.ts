import * as NodeWorker from "@effect/platform-node/NodeWorker"
import { Worker } from "node:worker_threads"

/** A small young generation: it is collected more often, and never for long. */
const resourceLimits = { maxYoungGenerationSizeMb: 8 }

/**
 * Starts a thread. Its script lies beside the module at `moduleUrl`, with the same extension: .ts in development and .js once
 * bundled.
 */
export const layer = (options: {
  readonly name: string
  readonly moduleUrl: string
  readonly script: string
  readonly workerData: unknown
}) => {
  const { moduleUrl, name, workerData } = options
  const extension = moduleUrl.slice(moduleUrl.lastIndexOf("."))
  const script = new URL(`./${options.script}${extension}`, moduleUrl)
  return NodeWorker.layer(() => new Worker(script, { name, resourceLimits, workerData }))
}
