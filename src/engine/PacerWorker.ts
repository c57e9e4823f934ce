/**
 * The script of the thread that `Pacer.layerThread` starts. It sleeps until the moment it is told and then sends a message.
 * Not for import.
 *
 * @since 0.2.0
 */
import { parentPort, workerData } from "node:worker_threads"
import * as Alarm from "./internal/alarm.ts"

if (workerData instanceof SharedArrayBuffer) {
  Alarm.serve(
    workerData,
    () => Number(process.hrtime.bigint()),
    () => parentPort?.postMessage(null)
  )
}
