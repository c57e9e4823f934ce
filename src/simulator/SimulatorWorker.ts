/**
 * The thread of `SimulatorThread`.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { parentPort, workerData } from "node:worker_threads"
import { serve } from "./ThreadServer.ts"

if (parentPort !== null) Effect.runFork(serve(parentPort, workerData))
