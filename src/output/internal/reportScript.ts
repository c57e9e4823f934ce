import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import { fileURLToPath } from "node:url"

/** Where a build has put the script of the page: beside the program, and seen from the library. */
const built = ["./reportClient.js", "../../../bin/reportClient.js"]

const place = (relative: string): URL => new URL(relative, import.meta.url)

/** In a checkout nothing is built: the script that builds it does so when it is imported. */
const fromSources = Effect.promise(
  (): Promise<{ readonly default: unknown }> => import(place("../../../scripts/reportClient.ts").href)
).pipe(Effect.map((module) => String(module.default)))

/** The script of the page, with the charts' library in it. */
export const script: Effect.Effect<string, never, FileSystem.FileSystem> = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  for (const relative of built) {
    const path = fileURLToPath(place(relative))
    if (yield* fs.exists(path)) return yield* fs.readFileString(path)
  }
  return yield* fromSources
}).pipe(Effect.orDie)

/** Its SHA-256 in base64, by which the page allows it to run. */
export const hashOf = (text: string): Effect.Effect<string> =>
  Effect.promise(() => crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))).pipe(
    Effect.map((digest) => btoa(String.fromCharCode(...new Uint8Array(digest))))
  )
