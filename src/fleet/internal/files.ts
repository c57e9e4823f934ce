import * as Effect from "effect/Effect"
import { platform } from "node:os"
import * as InputFile from "../../output/InputFile.ts"

/** Nothing that is read here is larger. */
const MOST_BYTES = 1_000_000

const READ_BY_OTHERS = 0o004

/** The text of a small file, and whether every user of the machine can read it (Windows does not tell). */
export const read = (path: string) =>
  Effect.map(InputFile.read(path, { mostBytes: MOST_BYTES }), ({ mode, text }) => ({
    text,
    everybodyReads: platform() !== "win32" && (mode & READ_BY_OTHERS) !== 0
  }))
