/**
 * Threads that send the requests of a load test together.
 *
 * @since 0.2.0
 */
import { Worker } from "node:worker_threads"
import * as Fleet from "../engine/Fleet.ts"

// The script lies beside this module, as .ts in development and as .js once bundled.
const script = (): URL => {
  const extension = import.meta.url.slice(import.meta.url.lastIndexOf("."))
  return new URL(`./LoadAgentWorker${extension}`, import.meta.url)
}

/**
 * Starts threads, which end with the layer. They have the environment of this one, with its credentials.
 *
 * @category layers
 * @since 0.2.0
 */
export const layer = (count: number) =>
  Fleet.layerWorkers({ count, spawn: (index) => new Worker(script(), { name: `llmperf-worker-${index + 1}` }) })
