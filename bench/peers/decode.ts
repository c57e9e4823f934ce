import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Schema from "effect/Schema"
import { during } from "../internal/BenchError.ts"

/** Reads what a tool printed. */
export const text = <A>(schema: Schema.Decoder<A>, content: string) =>
  Schema.decodeEffect(Schema.fromJsonString(schema))(content).pipe(
    Effect.mapError(during("Reading what a tool printed"))
  )

/** Reads a file of JSON that a tool wrote. */
export const file = <A>(schema: Schema.Decoder<A>, name: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const content = yield* fs.readFileString(name).pipe(Effect.mapError(during("Reading what a tool wrote")))
    return yield* text(schema, content)
  })
