import { assert, describe, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { globSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { promisify } from "node:util"

const root = join(import.meta.dirname, "..")
const folder = join(root, "examples")

/** What each example prints. */
const expected: { readonly [name: string]: RegExp } = {
  "01_load-test.ts": /^12 requests, 0 errors\n\d+ tokens in chunks of 1\n$/,
  "02_own-provider.ts": /^1: 9 chunks\n2: 9 chunks\n3: HTTP 429: not every third\n/,
  "03_advanced-usage.ts":
    /^3 tokens in, 5 out: \S.*\n(?=.*request 2: 30 tokens, ok\n)(?=.*request 3: 10 tokens, ok\n)(?=.*request 4: 20 tokens, ok\n)(.*\n){3}$/s,
  "05_run-new-provider.ts": /^1: 3 chunks, ok\n2: 6 chunks, ok\n3: 0 chunks, 429\n$/,
  "06_replay.ts": /^10 of 10 requests, each at its time\nsent at most \d\S* s late\n$/,
  "07_virtual-time.ts": /^200 requests in \d+\.\d s of virtual time\nTTFT p99 \d+\.\d{3} s, \d+\.\d tokens\/s\n$/,
  "08_read-results.ts": /^summary: 20 requests to demo\nthe same median: true\n$/,
  "10_run-new-output.ts": /^the summary says: 50 rows\nthe database: 50\n$/,
  "12_run-new-sender.ts": /^began at second 0 of a minute\n$/
}

/** Modules for others: the next example runs each. */
const modules = ["04_new-provider.ts", "09_new-output.ts", "11_new-sender.ts"]

describe.concurrent("examples", { timeout: 60_000 }, () => {
  it("are all run here", () => {
    assert.deepStrictEqual(
      globSync("*.ts", { cwd: folder }).toSorted(),
      [...Object.keys(expected), ...modules].toSorted()
    )
  })

  for (const [name, output] of Object.entries(expected)) {
    it(name, async () => {
      const { stdout } = await promisify(execFile)(process.execPath, [join(folder, name)])
      assert.match(stdout, output)
    })
  }

  it.each(modules)("%s has less than 60 lines", (name) => {
    assert.isBelow(readFileSync(join(folder, name), "utf8").trimEnd().split("\n").length, 60)
  })
})

/** A program that uses the package, as one in the repository. */
const asExample = (snippet: string): string =>
  snippet.replaceAll(/"llmperf\/([^"]+)"/g, (_, module: string) => `"../src/${module}.ts"`)

const words = (text: string): string => text.replaceAll(/\s+/g, " ").trim()

describe("docs/library.md", () => {
  const text = readFileSync(join(root, "docs", "library.md"), "utf8")
  const snippets = [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, snippet = ""]) => snippet)
  const programs = [
    ...globSync("*.ts", { cwd: folder }).map((name) => join(folder, name)),
    join(root, "test", "fixtures", "consumer", "main.js")
  ].map((path) => words(asExample(readFileSync(path, "utf8"))))

  it("has snippets", () => {
    assert.isAbove(snippets.length, 5)
  })

  it.each(snippets)("shows what an example does: %s", (snippet) => {
    // Parts that are not next to each other in the example are divided by an ellipsis.
    for (const part of snippet.split(/^\s*\/\/ …$/m)) {
      const wanted = words(asExample(part))
      assert.isTrue(
        programs.some((program) => program.includes(wanted)),
        part
      )
    }
  })
})
