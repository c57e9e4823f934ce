import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import { execFile } from "node:child_process"
import * as CountingSimulator from "../../src/cli/CountingSimulator.ts"
import * as HttpFront from "../../src/simulator/HttpFront.ts"
import * as ModelServer from "../../src/simulator/ModelServer.ts"
import * as SimulatorThread from "../../src/simulator/SimulatorThread.ts"
import { bodyOf, dataOf, exchange, request } from "./rawClient.ts"

const options = (http: Parameters<typeof HttpFront.HttpFrontOptions.make>[0] = {}) =>
  SimulatorThread.SimulatorOptions.make({
    model: ModelServer.ModelServerOptions.make({}),
    http: HttpFront.HttpFrontOptions.make(http)
  })

const moduleUrl = (name: string): string => new URL(`../../src/simulator/${name}.ts`, import.meta.url).href

const body = JSON.stringify({ model: "sim;ttft=0;itl=0", messages: [], max_tokens: 3, stream: true })

describe("SimulatorThread", () => {
  it.live("serves from a thread until the scope closes", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { url } = yield* Scope.provide(SimulatorThread.start(options()), scope)
      const raw = yield* exchange(url, request("POST", "/v1/chat/completions", body))
      assert.strictEqual(dataOf(bodyOf(raw)).at(-1), "[DONE]")
      const open = yield* Effect.forkChild(
        exchange(url, request("POST", "/v1/chat/completions", body.replace("ttft=0", "ttft=60000")))
      )
      yield* Effect.repeat(
        Effect.map(exchange(url, request("GET", "/_stats")), (stats) => JSON.parse(bodyOf(stats)).live),
        { until: (live) => live > 0, schedule: Schedule.spaced(5) }
      )
      yield* Scope.close(scope, Exit.void)
      assert.isFalse((yield* Fiber.join(open)).complete)
      const after = yield* exchange(url, request("GET", "/health"))
      assert.deepInclude(after, { status: 0, stopped: "ECONNRESET" })
    })
  )

  it.live("counts prompts by the thread that it is given, and otherwise 4 characters a token", () =>
    Effect.gen(function* () {
      const usageOf = Effect.fnUntraced(function* (thread?: SimulatorThread.ThreadScript) {
        const { url } = yield* SimulatorThread.start(options(), thread)
        const asked = JSON.stringify({
          model: "sim;ttft=0;itl=0",
          messages: [{ role: "user", content: "Shall I compare thee to a summer's day?" }],
          max_tokens: 1
        })
        return JSON.parse(bodyOf(yield* exchange(url, request("POST", "/v1/chat/completions", asked)))).usage
      })
      assert.strictEqual((yield* usageOf()).prompt_tokens, 10)
      const counted = yield* usageOf(CountingSimulator.thread("llama"))
      assert.strictEqual(counted.prompt_tokens, 12)
      const failed = yield* Effect.flip(SimulatorThread.start(options(), CountingSimulator.thread("./no/such/folder")))
      assert.include(failed.message, "there is no folder")
    }).pipe(Effect.scoped)
  )

  it.live("fails with the reason of the thread", () =>
    Effect.gen(function* () {
      const { url } = yield* SimulatorThread.start(options())
      const port = Number(new URL(url).port)
      const taken = yield* Effect.flip(SimulatorThread.start(options({ port })))
      assert.deepInclude(taken.reason, { _tag: "PortInUse", port })
      const outside = yield* Effect.flip(SimulatorThread.start(options({ host: "0.0.0.0" })))
      assert.deepInclude(outside.reason, { _tag: "HostNotLoopback", host: "0.0.0.0" })
    })
  )

  it.live("does not keep the process alive", () =>
    Effect.gen(function* () {
      const program = `
        import * as Effect from "effect/Effect"
        import * as Scope from "effect/Scope"
        import { start, SimulatorOptions } from "${moduleUrl("SimulatorThread")}"
        import { ModelServerOptions } from "${moduleUrl("ModelServer")}"
        import { HttpFrontOptions } from "${moduleUrl("HttpFront")}"
        const options = SimulatorOptions.make({ model: ModelServerOptions.make({}), http: HttpFrontOptions.make({}) })
        const scope = Scope.makeUnsafe()
        await Effect.runPromise(Scope.provide(start(options), scope))
        process.stdout.write("started")
      `
      // The scope is never closed.
      const output = yield* Effect.callback<string, Error>((resume) => {
        const child = execFile(
          process.execPath,
          ["--input-type=module-typescript", "-e", program],
          { cwd: new URL("../..", import.meta.url), timeout: 20_000 },
          (error, stdout) => resume(error === null ? Effect.succeed(stdout) : Effect.fail(error))
        )
        return Effect.sync(() => child.kill())
      })
      assert.strictEqual(output, "started")
    })
  )
})
