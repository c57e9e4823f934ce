import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import type { PlatformError } from "effect/PlatformError"
import * as Schema from "effect/Schema"
import { platform } from "node:os"

/** A file cannot be read. */
export class FileProblem extends Schema.TaggedError<FileProblem>("llmperf/fleet/FileProblem")("FileProblem", {
  problem: Schema.String
}) {
  override get message(): string {
    return this.problem
  }
}

/** Nothing that is read here is larger. */
const MOST_BYTES = 1_000_000

const READ_BY_OTHERS = 0o004

const problemOf = ({ message, reason }: PlatformError): string => {
  switch (reason._tag) {
    case "NotFound":
      return "there is no such file"
    case "PermissionDenied":
      return "it may not be read by this user"
    default:
      return `it cannot be read (${message})`
  }
}

/** The text of a small file, and whether every user of the machine can read it (Windows does not tell). */
export const read = Effect.fnUntraced(
  function* (path: string) {
    const fs = yield* FileSystem.FileSystem
    const { mode, size, type } = yield* fs.stat(path)
    if (type === "Directory") return yield* new FileProblem({ problem: "it is a folder" })
    if (Number(size) > MOST_BYTES) return yield* new FileProblem({ problem: "it is too large" })
    const text = yield* fs.readFileString(path)
    return { text, everybodyReads: platform() !== "win32" && (mode & READ_BY_OTHERS) !== 0 }
  },
  Effect.catchTag("PlatformError", (error) => Effect.fail(new FileProblem({ problem: problemOf(error) })))
)
