import { assert, describe, it } from "@effect/vitest"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { copied, last, path, stages } from "./dockerfile.ts"
import { root, textOf } from "./repository.ts"

/** The file of what is left out holds `*` and then what is let in, by name: so this needs no patterns. */
const letIn = (): ReadonlyArray<string> => {
  const [all, ...lines] = textOf(".dockerignore")
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
  assert.strictEqual(all, "*")
  return lines.map((line) => {
    assert.match(line, /^![\w.-]+$/)
    return line.slice(1)
  })
}

const packageJson: {
  readonly version: string
  readonly files: ReadonlyArray<string>
  readonly devDependencies: { readonly [name: string]: string }
} = JSON.parse(textOf("package.json"))

describe(path, () => {
  const all = stages()
  const image = all.at(-1) ?? []

  it("stands on the Node.js that the tests run on, by its version", () => {
    assert.isAbove(all.length, 1)
    for (const stage of all) {
      assert.match(
        last(stage, "FROM")[0] ?? "",
        new RegExp(`^node:${packageJson.devDependencies["node"]}-[a-z]+-slim$`)
      )
    }
  })

  it("needs nothing that the repository does not let in", () => {
    const names = letIn()
    for (const name of names) assert.isTrue(existsSync(join(root, name)), name)
    for (const name of all.flatMap(copied)) if (name !== ".") assert.include(names, name)
    // What npm packs, except what the build makes
    for (const name of packageJson.files) if (name !== "dist") assert.include(names, name)
  })

  it("lets no secret, no result and no history in", () => {
    for (const name of [".git", "deploy", "node_modules", "result_outputs", "test"]) assert.notInclude(letIn(), name)
  })

  it("takes nothing into the image but the package", () => {
    assert.deepStrictEqual(copied(image), [])
    const copies = image.filter(({ keyword }) => keyword === "COPY" || keyword === "ADD")
    assert.deepStrictEqual(copies, [{ keyword: "COPY", words: ["--from=package", "/opt/llmperf", "/opt/llmperf"] }])
  })

  it("runs as a user who is not root and is known by number", () => {
    assert.match(last(image, "USER")[0] ?? "", /^[1-9]\d*:[1-9]\d*$/)
  })

  it("starts llmperf itself, without a shell that would keep signals from it", () => {
    assert.deepStrictEqual(last(image, "ENTRYPOINT"), ["llmperf"])
    assert.match(textOf("src/bin.ts"), /^#!\/usr\/bin\/env node\n/)
  })

  it("names no host of a registry", () => {
    assert.notMatch(textOf(path), /https?:|\bregistry\b/)
  })
})
