import { assert, describe, it } from "@effect/vitest"
import { globSync, readFileSync } from "node:fs"
import { join } from "node:path"
import * as llmperf from "../src/index.ts"

const src = join(import.meta.dirname, "..", "src")

describe("index", () => {
  it("names every public module once", () => {
    const modules = globSync("*/**/*.ts", { cwd: src })
      .filter((path) => !/(^cli\/|\/internal\/|Worker\.ts$)/.test(path))
      .map((path) => `./${path}`)
    const exported = [...readFileSync(join(src, "index.ts"), "utf8").matchAll(/export \* as (\w+) from "([^"]+)"/g)]
    assert.deepStrictEqual(exported.map(([, , path]) => path).toSorted(), modules.toSorted())
    for (const [, name, path] of exported) assert.strictEqual(path?.endsWith(`/${name}.ts`), true, path)
    assert.deepStrictEqual(Object.keys(llmperf).toSorted(), exported.map(([, name]) => name).toSorted())
  })
})
