#!/usr/bin/env node
import { setFlagsFromString } from "node:v8"

// Long runs make much short-lived text. V8 lets its heap grow to several times of what is in use before it cleans up; so it
// does that sooner.
setFlagsFromString("--heap-growing-percent=80")
// See cli/internal/heap.ts
setFlagsFromString("--semi-space-growth-factor=1")

const required = [22, 19] as const
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number)

if (major < required[0] || (major === required[0] && minor < required[1])) {
  process.stderr.write(
    `llmperf needs Node.js ${required.join(".")} or newer, and this is ${process.versions.node}.\n` +
      "Install a newer one from https://nodejs.org, or run: npx --package node@24 --package llmperf llmperf …\n"
  )
  process.exitCode = 2
} else {
  const { main } = await import("./cli/main.ts")
  main()
}
