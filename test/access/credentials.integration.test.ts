import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { execFile, execFileSync } from "node:child_process"
import { dirname, join } from "node:path"
import { pathToFileURL } from "node:url"
import { beforeAll } from "vitest"
import * as HttpFront from "../../src/simulator/HttpFront.ts"
import * as ModelServer from "../../src/simulator/ModelServer.ts"
import { folder } from "../cli/invocation.ts"
import { type Cloud, cloud } from "./cloud.ts"
import { type Route, routes, settle } from "./routes.ts"

/**
 * Every way to get at credentials, by what is published: the bundled program and the library in `dist/`. The packages that know
 * these ways load parts of themselves only when a part is used, which works from source and can fail in a bundle.
 */

const root = join(import.meta.dirname, "..", "..")

beforeAll(() => {
  execFileSync(process.execPath, [join(root, "scripts", "build.ts")], { cwd: root, stdio: "pipe" })
}, 120_000)

const simulator = HttpFront.layer(HttpFront.HttpFrontOptions.make({})).pipe(
  Layer.provide(ModelServer.layer(ModelServer.ModelServerOptions.make({})))
)

interface Ended {
  readonly code: number
  readonly output: string
}

const node = (args: ReadonlyArray<string>, env: { readonly [name: string]: string }): Effect.Effect<Ended> =>
  Effect.callback((resume) => {
    const path = `${dirname(process.execPath)}:/usr/bin:/bin`
    execFile(process.execPath, [...args], { cwd: root, env: { PATH: path, ...env } }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : -1
      resume(Effect.succeed({ code, output: `${stdout}\n${stderr}` }))
    })
  })

type Mode = "direct" | "proxy"

/** What must be seen in the cloud after a route was taken. */
const check = ({ authorization, direct = [], hosts }: Route, mode: Mode, { seen, tunnels }: Cloud): void => {
  const asked = seen.map(({ host }) => host)
  for (const host of hosts) assert.include(asked, host)
  const api = seen.at(-1)
  assert.strictEqual(api?.host, hosts.at(-1))
  if (authorization !== undefined) assert.match(api?.authorization ?? "", authorization)
  const tunnelled = mode === "direct" ? [] : hosts.filter((host) => !direct.includes(host))
  assert.deepStrictEqual([...new Set(tunnels)].toSorted(), tunnelled.map((host) => `${host}:443`).toSorted())
}

const modes: ReadonlyArray<Mode> = ["direct", "proxy"]
const model = "sim;ttft=1;itl=1;n=4"

describe.concurrent("the built program", { timeout: 60_000 }, () => {
  for (const mode of modes) {
    it.live.each(routes.map((route) => [route.name, route] as const))(`${mode}: %s`, ([, route]) =>
      Effect.gen(function* () {
        const world = yield* cloud
        const env = { ...world.env(mode), ...settle(route, yield* folder) }
        const named = route.model?.replace("sim", model) ?? model
        const { code, output } = yield* node(
          [join(root, "dist", "bin", "llmperf.js"), "probe", "--model", named, ...route.flags],
          env
        )
        assert.strictEqual(code, 0, output)
        check(route, mode, world)
      }).pipe(Effect.scoped, Effect.provide(simulator))
    )
  }
})

/** The ways that packages know, which lie in `vendor/`; what a proxy leads to is the harder half. */
const libraryRoutes = routes.filter(({ name }) => /^(Google|AWS)/.test(name) && !/SageMaker/.test(name))

describe.concurrent("the built library", { timeout: 60_000 }, () => {
  it.live.each(libraryRoutes.map((route) => [route.name, route] as const))("proxy: %s", ([name, route]) =>
    Effect.gen(function* () {
      const world = yield* cloud
      const env = { ...world.env("proxy"), ...settle(route, yield* folder) }
      const [api, options] = name.startsWith("Google") ? ["VertexAi", { route: "publisher" }] : ["Bedrock", {}]
      const library = pathToFileURL(join(root, "dist", "lib")).href
      const script = join(import.meta.dirname, "libraryProbe.mjs")
      const { code, output } = yield* node([script, library, String(api), model, JSON.stringify(options)], env)
      assert.strictEqual(code, 0, output)
      check(route, "proxy", world)
    }).pipe(Effect.scoped, Effect.provide(simulator))
  )
})
