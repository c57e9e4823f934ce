import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { build } from "esbuild"
import { execFile } from "node:child_process"
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { promisify } from "node:util"
import * as OwnProvider from "../../src/cli/internal/ownProvider.ts"
import * as RequestsLauncher from "../../src/engine/RequestsLauncher.ts"
import { Provider } from "../../src/provider/Provider.ts"
import * as Transport from "../../src/provider/Transport.ts"
import * as HttpFront from "../../src/simulator/HttpFront.ts"
import * as ModelServer from "../../src/simulator/ModelServer.ts"
import * as TokenCounter from "../../src/workload/TokenCounter.ts"
import * as Tokenizer from "../../src/workload/Tokenizer.ts"
import { file, folder } from "./invocation.ts"

const root = join(import.meta.dirname, "..", "..")
const example = join(root, "examples", "04_new-provider.ts")

/** Imports that a module in any folder can make. */
const imports = [
  ...["Effect", "Layer", "Stream", "Context"].map(
    (name) => `import * as ${name} from ${JSON.stringify(import.meta.resolve(`effect/${name}`))}`
  ),
  ...[
    ["{ Provider }", "provider/Provider"],
    ["* as LlmError", "domain/LlmError"]
  ].map(
    ([names, path]) => `import ${names} from ${JSON.stringify(pathToFileURL(join(root, "src", `${path}.ts`)).href)}`
  )
].join("\n")

const counting = Layer.provide(TokenCounter.layerInline, Tokenizer.layerLlama)
const server = HttpFront.layer(HttpFront.HttpFrontOptions.make({})).pipe(
  Layer.provide(ModelServer.layer(ModelServer.ModelServerOptions.make({})))
)

/** The rows of three requests to a simulated server, of two, four and six tokens. */
const ask = (path: string, model = "sim;ttft=5;itl=1") =>
  Effect.gen(function* () {
    const { url } = yield* HttpFront.HttpFront
    const launcher = RequestsLauncher.layer({ concurrency: 3 }).pipe(
      Layer.provide([OwnProvider.load(path, { model, apiBase: url }), counting])
    )
    return yield* Effect.gen(function* () {
      const { end, launch, results } = yield* RequestsLauncher.RequestsLauncher
      for (const outputTokens of [2, 4, 6]) yield* launch({ prompt: "Once upon a time", outputTokens })
      yield* end
      const all = yield* Stream.runCollect(results)
      return all.map(({ record }) => record).toSorted((a, b) => a.request_id - b.request_id)
    }).pipe(Effect.provide(launcher))
  }).pipe(Effect.provide([server, Transport.layer(), NodeServices.layer]))

/** What is said of a module that cannot be used. */
const problem = (path: string) =>
  Effect.gen(function* () {
    const error = yield* Effect.flip(Layer.build(OwnProvider.load(path, { model: "m" })))
    assert.strictEqual(error.exitCode, 2)
    const start = `--provider ${path}: `
    assert.isTrue(error.message.startsWith(start), error.message)
    return error.message.slice(start.length)
  }).pipe(Effect.scoped, Effect.provide([Transport.layer(), NodeServices.layer]))

/** The same, by a program that Node runs as it is. */
const problemsInProcess = (paths: ReadonlyArray<string>) =>
  Effect.promise(async (): Promise<ReadonlyArray<string>> => {
    const script = join(import.meta.dirname, "ownProviderProcess.ts")
    const { stdout } = await promisify(execFile)(process.execPath, [script, ...paths])
    return JSON.parse(stdout)
  })

describe.concurrent("--provider", { timeout: 30_000 }, () => {
  it.live("asks with the provider of a module, by a path from the working directory", () =>
    Effect.gen(function* () {
      const rows = yield* ask(join("examples", "04_new-provider.ts"))
      assert.deepStrictEqual(
        rows.map((row) => [row.error_code, row.number_chunks, row.status]),
        [
          [null, 2, 200],
          [null, 4, 200],
          [null, 6, 200]
        ]
      )
    })
  )

  it.live("asks with a provider that brings its own copies of effect and llmperf", () =>
    Effect.gen(function* () {
      const outfile = join(yield* folder, "bundled.mjs")
      yield* Effect.promise(() =>
        build({ entryPoints: [example], bundle: true, format: "esm", platform: "node", external: ["undici"], outfile })
      )
      const rows = yield* ask(outfile)
      assert.deepStrictEqual(
        rows.map((row) => [row.error_code, row.number_chunks]),
        [
          [null, 2],
          [null, 4],
          [null, 6]
        ]
      )
      for (const { dispatch_lag_s, ttft_s } of rows) {
        assert.isNumber(dispatch_lag_s)
        assert.isAtLeast(ttft_s ?? 0, 0.004)
      }
      // Failures of the other copy are failures here.
      const [refused] = yield* ask(outfile, "sim;fault=429")
      assert.deepInclude(refused, { error_code: 429, error_reason: "RateLimited", number_chunks: 0 })
      const [broken] = yield* ask(outfile, "sim;fault=garbage")
      assert.deepInclude(broken, { error_code: "protocol_error", error_reason: "Protocol" })
      const [cut] = yield* ask(outfile, "sim;fault=cut:1")
      assert.deepInclude(cut, { error_code: "truncated", error_reason: "Truncated", number_chunks: 1 })
    })
  )

  it.live("takes a layer as it is, and names it after its file", () =>
    Effect.gen(function* () {
      const path = yield* file(
        "mine.js",
        `${imports}\nexport const layer = Layer.succeed(Provider, { name: "x", origin: "http://127.0.0.1:1", stream: () => Stream.empty })`
      )
      const context = yield* Layer.build(OwnProvider.load(path, { model: "m" })).pipe(
        Effect.provide([Transport.layer(), NodeServices.layer])
      )
      const { name, origin } = yield* Effect.provideContext(Provider, context)
      assert.deepStrictEqual({ name, origin }, { name: "mine.js", origin: "http://127.0.0.1:1" })
    }).pipe(Effect.scoped)
  )

  it.live("gives a layer function the options, and no others", () =>
    Effect.gen(function* () {
      const path = yield* file(
        "options.js",
        `${imports}\nexport const layer = (options) => { throw new Error(JSON.stringify(options)) }`
      )
      const options = {
        model: "m",
        apiBase: "http://127.0.0.1:1",
        samplingParams: { top_p: 1 },
        headers: { "x-a": "b" },
        requestId: { header: "x-request-id", of: () => "1" },
        endpoint: "chat"
      }
      const error = yield* Effect.flip(Layer.build(OwnProvider.load(path, options))).pipe(
        Effect.provide([Transport.layer(), NodeServices.layer])
      )
      const { endpoint: _, ...given } = options
      assert.match(error.message, /its layer function failed: /)
      assert.deepStrictEqual(
        JSON.parse(error.message.slice(error.message.indexOf("{"))),
        JSON.parse(JSON.stringify(given))
      )
    }).pipe(Effect.scoped)
  )

  it.live("makes rows of what is no LlmError", () =>
    Effect.gen(function* () {
      const path = yield* file(
        "odd.js",
        `${imports}\nexport const layer = Layer.succeed(Provider, { stream: () => Stream.fail(new Error("odd")) })`
      )
      const [row] = yield* ask(path)
      assert.deepInclude(row, { error_code: "internal_error", error_reason: "Internal" })
      assert.match(row?.error_msg ?? "", /^Internal error: the provider odd\.js failed: Error: odd\n +at .*odd\.js/)
    })
  )

  it.live("tells of an exception with its stack and the provider's name", () =>
    Effect.gen(function* () {
      const streams = {
        thrown: 'stream: () => { throw new Error("odd") }',
        died: 'stream: () => Stream.die(new Error("odd"))',
        rejected: 'stream: () => Stream.fromEffect(Effect.promise(() => Promise.reject(new Error("odd"))))',
        "died later":
          'stream: () => Stream.concat(Stream.succeed({ _tag: "Sent", at: 1, connection: null }), Stream.suspend(() => { throw new Error("odd") }))'
      }
      for (const [what, stream] of Object.entries(streams)) {
        const [row] = yield* ask(
          yield* file("odd.js", `${imports}\nexport const layer = Layer.succeed(Provider, { ${stream} })`)
        )
        assert.deepInclude(row, { error_code: "internal_error", error_reason: "Internal" }, what)
        assert.match(
          row?.error_msg ?? "",
          /^Internal error: the provider odd\.js failed: Error: odd\n +at .*odd\.js/,
          what
        )
      }
    }).pipe(Effect.scoped)
  )

  it.live("tells an exception in its decoder from a lost connection", () =>
    Effect.gen(function* () {
      const transport = `import { Transport } from ${JSON.stringify(pathToFileURL(join(root, "src/provider/Transport.ts")).href)}`
      const decoders = {
        make: 'makeDecoder: () => { throw new Error("odd") }',
        push: 'makeDecoder: () => ({ push: () => { throw new Error("odd") }, end: () => undefined, done: false })',
        end: 'makeDecoder: () => ({ push: () => undefined, end: () => { throw new Error("odd") }, done: false })',
        accepts:
          'accepts: () => { throw new Error("odd") }, makeDecoder: () => ({ push: () => undefined, end: () => undefined, done: false })',
        errorOf: 'accepts: () => false, makeDecoder: () => {}, errorOf: () => { throw new Error("odd") }'
      }
      for (const [what, decoder] of Object.entries(decoders)) {
        const path = yield* file(
          "odd.js",
          `${imports}\n${transport}\n
          export const layer = ({ apiBase, model }) => Layer.effect(Provider, Effect.map(Transport, (transport) => ({
            stream: () => transport.stream(
              () => ({
                origin: apiBase,
                path: "/v1/chat/completions",
                headers: ["content-type", "application/json"],
                body: JSON.stringify({ model, stream: true, messages: [{ role: "user", content: "Hi" }] })
              }),
              { errorOf: () => undefined, ${decoder} }
            )
          })))`
        )
        const [row] = yield* ask(path)
        assert.strictEqual(row?.error_code, "internal_error", `${what}: ${row?.error_msg}`)
        assert.match(
          row?.error_msg ?? "",
          /^Internal error: the provider odd\.js failed: Error: odd\n +at .*odd\.js/,
          what
        )
      }
    }).pipe(Effect.scoped)
  )

  it.live("says what is wrong with the file", () =>
    Effect.gen(function* () {
      const at = yield* folder
      mkdirSync(join(at, "folder.ts"))
      const alone = (name: string): RegExp =>
        new RegExp(
          `^it imports ${name}, which is not installed beside it: run "npm install llmperf@\\S+ effect@\\S+" in`
        )
      const files: ReadonlyArray<readonly [name: string, code: string | null, said: RegExp | string]> = [
        ["nothing.ts", null, `there is no such file (${join(at, "nothing.ts")})`],
        ["folder.ts", null, "it is not a file"],
        ["broken.js", "export const layer = (", /^it cannot be loaded: \S/],
        ["types.ts", "export enum Kind { A }", /^it cannot be loaded: .*enum/s],
        ["throws.mjs", 'throw new Error("at once")', "it cannot be loaded: at once"],
        ["effect.mjs", 'import * as Effect from "effect"', alone("effect")],
        ["deeper.ts", 'import * as Layer from "effect/Layer"', alone("effect")],
        ["ours.mjs", 'import { Provider } from "llmperf/provider/Provider"', alone("llmperf")],
        ["other.mjs", 'import "no-such-package"', /^it cannot be loaded: Cannot find package 'no-such-package'/],
        ["fine.ts", "export const Layer: number = 1", /and exports Layer$/]
      ]
      for (const [name, code] of files) if (code !== null) writeFileSync(join(at, name), code)
      const said = yield* problemsInProcess(files.map(([name]) => join(at, name)))
      for (const [index, [name, , expected]] of files.entries()) {
        const start = `--provider ${join(at, name)}: `
        const message = said[index] ?? ""
        assert.isTrue(message.startsWith(start), message)
        if (typeof expected === "string") assert.strictEqual(message.slice(start.length), expected)
        else assert.match(message.slice(start.length), expected)
      }
    }).pipe(Effect.scoped)
  )

  it.live("says what is wrong with what it exports", () =>
    Effect.gen(function* () {
      const of = Effect.fnUntraced(function* (code: string) {
        return yield* problem(yield* file("mine.mjs", `${imports}\n${code}`))
      })
      assert.strictEqual(yield* of(""), 'it must export a layer under the name "layer", and exports nothing')
      assert.strictEqual(
        yield* of("export const Layer1 = 1; export default 2"),
        'it must export a layer under the name "layer", and exports Layer1, default'
      )
      assert.strictEqual(
        yield* of("export const layer = {}"),
        'its "layer" is neither a Layer of effect 4 nor a function that returns one'
      )
      for (const code of ["() => 1", "async () => Layer.empty", "() => Effect.succeed(1)"]) {
        assert.strictEqual(
          yield* of(`export const layer = ${code}`),
          "its layer function must return a Layer of effect 4, and returned something else"
        )
      }
      assert.strictEqual(yield* of("export const layer = Layer.empty"), "its layer gives no Provider")
      assert.strictEqual(yield* of("export const layer = Layer.succeed(Provider, {})"), "its layer gives no Provider")
    }).pipe(Effect.scoped)
  )

  it.live("says why its layer failed", () =>
    Effect.gen(function* () {
      const of = Effect.fnUntraced(function* (effect: string) {
        const path = yield* file("mine.mjs", `${imports}\nexport const layer = () => Layer.effect(Provider, ${effect})`)
        return yield* problem(path)
      })
      assert.strictEqual(
        yield* of(
          'Effect.fail(LlmError.fromReason(new LlmError.MissingCredential({ variable: "MY_KEY", description: "the key" })))'
        ),
        "its layer failed: MY_KEY must be set: the key"
      )
      assert.strictEqual(yield* of('Effect.die(new Error("oh"))'), "its layer failed: oh")
      assert.strictEqual(yield* of('Effect.fail("text")'), "its layer failed: text")
      assert.match(yield* of('Context.Service("some/Other")'), /^its layer failed: .*some\/Other/)
    }).pipe(Effect.scoped)
  )
})

describe("--provider", () => {
  it.each([
    ["my-provider.ts", "my-provider.ts"],
    ["./a/b/mine.mjs", "mine.mjs"],
    ["a\\b.ts", "b.ts"]
  ])("calls %s %s in the results", (path, name) => {
    assert.strictEqual(OwnProvider.nameOf(path), name)
  })
})
