/**
 * The thread of a simulated server that counts prompts as the run does.
 *
 * @since 0.2.0
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { parentPort, workerData } from "node:worker_threads"
import * as ThreadServer from "../simulator/ThreadServer.ts"
import { countingBy } from "./internal/simulated.ts"

const decodeData = Schema.decodeUnknownSync(Schema.Struct({ tokenizer: Schema.String }))

if (parentPort !== null) {
  const port = parentPort
  Effect.runFork(
    ThreadServer.serve(port, workerData).pipe(
      Effect.provide(countingBy(decodeData(workerData).tokenizer)),
      Effect.catchTag("TokenizerError", ({ message }) => ThreadServer.fail(port, message))
    )
  )
}
