import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Stdio from "effect/Stdio"
import * as Terminal from "effect/Terminal"
import * as Screen from "../../src/output/Screen.ts"
import { terminalOf } from "./terminal.ts"

const detect = (options: {
  readonly terminal: boolean
  readonly columns?: number
  readonly env?: { readonly [name: string]: string }
}) =>
  Screen.detect("stderr").pipe(
    Effect.provide(Stdio.layerTest({ stderrIsTerminal: Effect.succeed(options.terminal) })),
    Effect.provideService(Terminal.Terminal, terminalOf(Effect.succeed(options.columns ?? 0))),
    Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env: options.env ?? {} }))
  )

describe("Screen", () => {
  it.effect("a terminal is drawn on, in colour, in its width", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* detect({ terminal: true, columns: 97 }), {
        animate: true,
        color: true,
        unicode: true,
        columns: 97
      })
      assert.strictEqual((yield* detect({ terminal: true })).columns, 80)
      assert.strictEqual((yield* detect({ terminal: true, env: { COLUMNS: "64" } })).columns, 64)
    })
  )

  it.effect("a file is not, and is wide", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* detect({ terminal: false, columns: 97 }), {
        animate: false,
        color: false,
        unicode: true,
        columns: 160
      })
      assert.strictEqual((yield* detect({ terminal: false, env: { COLUMNS: "64" } })).columns, 64)
      assert.strictEqual((yield* detect({ terminal: false, env: { COLUMNS: "wide" } })).columns, 160)
    })
  )

  it.effect("NO_COLOR, FORCE_COLOR and TERM=dumb are obeyed", () =>
    Effect.gen(function* () {
      assert.isFalse((yield* detect({ terminal: true, env: { NO_COLOR: "1" } })).color)
      assert.isTrue((yield* detect({ terminal: true, env: { NO_COLOR: "" } })).color)
      assert.isFalse((yield* detect({ terminal: true, env: { NO_COLOR: "1", FORCE_COLOR: "1" } })).color)
      assert.isTrue((yield* detect({ terminal: false, env: { FORCE_COLOR: "1" } })).color)
      assert.isFalse((yield* detect({ terminal: false, env: { FORCE_COLOR: "0" } })).color)
      assert.deepStrictEqual(yield* detect({ terminal: true, columns: 50, env: { TERM: "dumb" } }), {
        animate: false,
        color: false,
        unicode: false,
        columns: 50
      })
    })
  )

  it.effect("nothing is drawn over again in CI", () =>
    Effect.gen(function* () {
      assert.isFalse((yield* detect({ terminal: true, env: { CI: "true" } })).animate)
      assert.isFalse((yield* detect({ terminal: true, env: { CI: "woodpecker" } })).animate)
      for (const CI of ["", "0", "false"]) assert.isTrue((yield* detect({ terminal: true, env: { CI } })).animate, CI)
    })
  )

  it.effect("characters beyond ASCII need a locale that has them, or none", () =>
    Effect.gen(function* () {
      const unicode = (env: { readonly [name: string]: string }) =>
        Effect.map(detect({ terminal: true, env }), (screen) => screen.unicode)
      for (const env of [
        { LANG: "C.UTF-8" },
        { LC_CTYPE: "en_US.utf8", LANG: "C" },
        { LC_ALL: "", LANG: "de_DE.UTF-8" }
      ]) {
        assert.isTrue(yield* unicode(env))
      }
      for (const env of [
        { LANG: "C" },
        { LC_ALL: "POSIX", LANG: "C.UTF-8" },
        { LANG: "en_US.ISO-8859-1" },
        { TERM: "linux" }
      ]) {
        assert.isFalse(yield* unicode(env))
      }
    })
  )
})
