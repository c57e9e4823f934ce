/**
 * Checks the rules of docs/architecture.md: which folder may import which, no import cycles, and that the environment,
 * the clock and the console are used only where they belong.
 */
import { globSync, readFileSync } from "node:fs"
import { dirname, join, relative, sep } from "node:path"

const root = join(import.meta.dirname, "..", "src")

/** Each room and the rooms it may import from. */
const allowed: { readonly [room: string]: ReadonlyArray<string> } = {
  domain: [],
  workload: ["domain"],
  provider: ["domain"],
  metrics: ["domain"],
  simulator: ["domain"],
  output: ["domain", "metrics"],
  engine: ["domain", "workload", "provider", "metrics", "output", "simulator"],
  fleet: ["domain", "metrics", "output", "engine"],
  cli: ["domain", "workload", "provider", "metrics", "output", "simulator", "engine", "fleet"],
  "index.ts": ["domain", "workload", "provider", "metrics", "output", "simulator", "engine", "fleet"],
  "bin.ts": ["cli"]
}

/** The edge of the program, which owns the process. */
const edges = new Set(["bin.ts", join("cli", "main.ts")])
const owned = /\b(process\.(env|exit|exitCode|stdout|stderr|argv)|Date\.now|new Date\(|Math\.random|console\.)/

const problems: Array<string> = []
const imports = new Map<string, ReadonlyArray<string>>()

for (const file of globSync("**/*.ts", { cwd: root })) {
  const text = readFileSync(join(root, file), "utf8")
  const room = file.split(sep)[0] ?? ""
  const targets = [...text.matchAll(/(?:from|import\()\s*"(\.[^"]+)"/g)].flatMap(([, specifier = ""]) => {
    const target = relative(root, join(root, dirname(file), specifier))
    return target.startsWith("..") ? [] : [target]
  })
  imports.set(file, targets)
  const may = allowed[room]
  if (may === undefined) problems.push(`${file}: there is no room "${room}"`)
  for (const target of targets) {
    const to = target.split(sep)[0] ?? ""
    if (to !== room && may !== undefined && !may.includes(to)) {
      problems.push(`${file} imports ${target}: ${room} may import ${may.join(", ") || "nothing"}`)
    }
    if (target.includes(`${sep}internal${sep}`) && to !== room) {
      problems.push(`${file} imports ${target}: internal to ${to}`)
    }
  }
  if (!edges.has(file)) {
    const code = text.replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "")
    const found = owned.exec(code)
    if (found !== null) problems.push(`${file} uses ${found[0]}, which belongs to the edge (${[...edges].join(", ")})`)
  }
}

const cycleFrom = (file: string, path: ReadonlyArray<string>, done: Set<string>): ReadonlyArray<string> | undefined => {
  if (path.includes(file)) return [...path.slice(path.indexOf(file)), file]
  if (done.has(file)) return undefined
  for (const target of imports.get(file) ?? []) {
    const cycle = cycleFrom(target, [...path, file], done)
    if (cycle !== undefined) return cycle
  }
  done.add(file)
  return undefined
}

const done = new Set<string>()
for (const file of imports.keys()) {
  const cycle = cycleFrom(file, [], done)
  if (cycle !== undefined) {
    problems.push(`import cycle: ${cycle.join(" → ")}`)
    break
  }
}

if (problems.length > 0) {
  process.stderr.write(`${problems.join("\n")}\n`)
  process.exitCode = 1
} else process.stdout.write(`${imports.size} files keep the rules of docs/architecture.md\n`)
