import * as Effect from "effect/Effect"
import * as Sink from "effect/Sink"
import * as Terminal from "effect/Terminal"

/** A terminal of that width that is neither read from nor written to. */
export const terminalOf = (columns: Effect.Effect<number>): Terminal.Terminal =>
  Terminal.make({
    columns,
    rows: Effect.succeed(24),
    size: Effect.die("not used"),
    readInput: Effect.die("not used"),
    readLine: Effect.die("not used"),
    display: () => Effect.die("not used")
  })

/** A sink for standard error that keeps what is written. */
export const keepIn = (written: Array<string>) =>
  Sink.forEach((text: string | Uint8Array) =>
    Effect.sync(() => {
      written.push(typeof text === "string" ? text : new TextDecoder().decode(text))
    })
  )
