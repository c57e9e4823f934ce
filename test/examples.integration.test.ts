import { assert, describe, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { globSync } from "node:fs"
import { join } from "node:path"
import { promisify } from "node:util"

const folder = join(import.meta.dirname, "..", "examples")

/** What each example prints. */
const expected: { readonly [name: string]: RegExp } = {
  "01_load-test.ts": /^12 requests, 0 errors\n\d+ tokens in chunks of 1\n$/,
  "02_own-provider.ts": /^1: 9 chunks\n2: 9 chunks\n3: HTTP 429: not every third\n/
}

describe.concurrent("examples", () => {
  it("are all run here", () => {
    assert.deepStrictEqual(globSync("*.ts", { cwd: folder }).toSorted(), Object.keys(expected).toSorted())
  })

  for (const [name, output] of Object.entries(expected)) {
    it(name, async () => {
      const { stdout } = await promisify(execFile)(process.execPath, [join(folder, name)])
      assert.match(stdout, output)
    })
  }
})
