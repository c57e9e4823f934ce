import { execFileSync, spawnSync } from "node:child_process"
import { textOf } from "./repository.ts"

/** What the documents make certificates with. */
export const hasOpenssl = spawnSync("openssl", ["version"]).status === 0

/** Runs the lines that a document has for making a token and certificates in a folder, without those that use them. */
export const makeSecrets = (document: string, folder: string): void => {
  const blocks = [...textOf(document).matchAll(/```sh\n([\s\S]*?)```/g)].map(([, block = ""]) => block)
  const block = blocks.find((text) => text.includes("openssl req")) ?? ""
  const lines = block.replaceAll(/^(cd|kubectl|llmperf) .*$/gm, "")
  execFileSync("sh", ["-eu", "-c", lines], { cwd: folder, stdio: "pipe" })
}
