/**
 * Builds what is published into `dist/`:
 *
 * - `bin/`: the program, with everything it needs in it; the worker scripts lie beside it under their own names
 * - `lib/`: the library, file by file; `effect` is left to the program that uses it, other packages are in `vendor/`
 * - `types/`: declarations
 */
import { execFileSync } from "node:child_process"
import { chmodSync, copyFileSync, globSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { isBuiltin } from "node:module"
import { join, relative } from "node:path"
import { pathToFileURL } from "node:url"
import { build, type BuildOptions, type Plugin } from "esbuild"
import { pngAssets } from "../src/output/internal/pngAssets.ts"
import reportClient from "./reportClient.ts"

const root = join(import.meta.dirname, "..")
const dist = join(root, "dist")
rmSync(dist, { recursive: true, force: true })

const common = {
  absWorkingDir: root,
  bundle: true,
  format: "esm",
  platform: "node",
  target: "node22.19",
  legalComments: "linked",
  logLevel: "warning",
  // CommonJS packages ask for Node's modules with require, which an ES module does not have.
  banner: {
    js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);'
  }
} as const satisfies BuildOptions

/** Tokenizing needs no model runtime; the packages that bring one are empty here too (see `overrides` in package.json). */
const withoutModelRuntimes: Plugin = {
  name: "without-model-runtimes",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^(onnxruntime-node|onnxruntime-web(\/.*)?|sharp)$/ }, ({ path }) => ({
      path,
      namespace: "empty"
    }))
    onLoad({ filter: /.*/, namespace: "empty" }, () => ({ contents: "export default {}", loader: "js" }))
  }
}

/** How esbuild takes a file: its format, and the exports of an ES module that it can see without looking into others. */
const kindOf = async (path: string) => {
  const { metafile } = await build({
    entryPoints: [path],
    bundle: true,
    external: ["*"],
    format: "esm",
    platform: "node",
    write: false,
    metafile: true
  })
  return {
    isCommonJs: Object.values(metafile.inputs).some(({ format }) => format === "cjs"),
    exports: Object.values(metafile.outputs).flatMap((output) => output.exports)
  }
}

/** A module that hands on all exports of a file by name. esbuild sees none of a CommonJS file, so Node.js is asked for them. */
const handingOn = async (path: string): Promise<string> => {
  const from = JSON.stringify(path)
  const { exports, isCommonJs } = await kindOf(path)
  if (!isCommonJs)
    return `export * from ${from}\n${exports.includes("default") ? `export { default } from ${from}` : ""}`
  const exported: object = await import(pathToFileURL(path).href)
  const names = Object.keys(exported).filter((name) => /^[A-Za-z_$][\w$]*$/.test(name))
  return `export { ${names.join(", ")} } from ${from}`
}

/**
 * Gives a dynamic import of a CommonJS package its exports by name, as Node.js does. In a bundle it would have `default` alone, and
 * `(await import("https-proxy-agent")).HttpsProxyAgent` in a package be undefined.
 */
const namedDynamicImports: Plugin = {
  name: "named-dynamic-imports",
  setup({ onLoad, onResolve, resolve }) {
    onResolve({ filter: /^[^./]/ }, async ({ importer, kind, path, pluginData, resolveDir, with: attributes }) => {
      if (kind !== "dynamic-import" || pluginData === "found" || isBuiltin(path)) return undefined
      const found = await resolve(path, { importer, kind, resolveDir, pluginData: "found", with: attributes })
      if (found.errors.length > 0 || found.external || found.namespace !== "file") return undefined
      return (await kindOf(found.path)).isCommonJs ? { path: found.path, namespace: "named" } : undefined
    })
    onLoad({ filter: /.*/, namespace: "named" }, async ({ path }) => ({
      contents: await handingOn(path),
      resolveDir: root
    }))
  }
}

const workers = globSync("src/*/*Worker.ts", { cwd: root })

const program = await build({
  metafile: true,
  ...common,
  entryPoints: [
    { in: "src/bin.ts", out: "llmperf" },
    ...workers.map((path) => ({ in: path, out: path.replace(/^.*\/|\.ts$/g, "") }))
  ],
  outdir: "dist/bin",
  splitting: true,
  minifySyntax: true,
  minifyWhitespace: true,
  plugins: [withoutModelRuntimes, namedDynamicImports]
})
chmodSync(join(dist, "bin/llmperf.js"), 0o755)
writeFileSync(join(dist, "bin/reportClient.js"), reportClient)
const assets = Object.values(pngAssets)
for (const { from, name } of assets) copyFileSync(join(root, "node_modules", from), join(dist, "bin", name))

/** The package that a file below `node_modules` is of. */
const packageOf = (path: string): ReadonlyArray<string> => /^(?:@[^/]+\/)?[^/]+(?=\/)/.exec(path)?.slice(0, 1) ?? []

/** The licences of every package that is bundled, and where the source is of one that brings no text of its licence. */
const bundled = new Set([
  ...Object.values(program.metafile.outputs).flatMap(({ inputs }) =>
    Object.entries(inputs).flatMap(([path, { bytesInOutput }]) =>
      bytesInOutput > 0 ? packageOf(path.split("node_modules/").at(1) ?? "") : []
    )
  ),
  ...assets.flatMap(({ from }) => packageOf(from))
])
const notices = [...bundled].toSorted().map((name) => {
  const folder = join(root, "node_modules", name)
  const { license, repository, version } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"))
  const files = globSync(["{LICENSE,LICENCE,license}*", "NOTICE*"], { cwd: folder, withFileTypes: true })
    .flatMap((entry) => (entry.isFile() ? [entry.name] : []))
    .toSorted()
  const text = files.map((name) => `\n${readFileSync(join(folder, name), "utf8").trim()}\n`).join("")
  const source = `\nSource: ${repository?.url ?? repository}\nLicence: https://spdx.org/licenses/${license}.html\n`
  return `${name} ${version} (${license})\n${text === "" ? source : text}`
})
writeFileSync(join(dist, "THIRD_PARTY_LICENSES.txt"), notices.join(`\n${"-".repeat(80)}\n\n`))

const vendored = new Set<string>()

/** Sends our own modules to their `.js` beside them and other packages to `vendor/`, one copy for the whole library. */
const asLibrary: Plugin = {
  name: "as-library",
  setup({ onResolve }) {
    onResolve({ filter: /.*/ }, ({ path, kind, resolveDir }) => {
      if (kind === "entry-point" || path.startsWith("node:") || /^effect(\/|$)/.test(path)) return undefined
      if (path.startsWith(".")) return { path: path.replace(/\.ts$/, ".js"), external: true }
      vendored.add(path)
      const up = relative(join(root, resolveDir.slice(root.length + 1)), join(root, "src")) || "."
      return { path: `${up.startsWith(".") ? up : `./${up}`}/vendor/${vendorName(path)}.js`, external: true }
    })
  }
}

const vendorName = (specifier: string): string => specifier.replace(/^@/, "").replaceAll("/", "-")

const modules = globSync("src/**/*.ts", { cwd: root, exclude: ["src/bin.ts", "src/cli/**"] })
await build({
  ...common,
  banner: {},
  entryPoints: modules,
  outbase: "src",
  outdir: "dist/lib",
  packages: "bundle",
  external: ["effect"],
  plugins: [asLibrary]
})

/** A package under its vendor name, with every export. */
const vendorEntry: Plugin = {
  name: "vendor-entry",
  setup({ onLoad, onResolve, resolve }) {
    onResolve({ filter: /^vendor:/ }, async ({ path }) => {
      const found = await resolve(path.slice("vendor:".length), { kind: "import-statement", resolveDir: root })
      return { errors: found.errors, path: found.path, namespace: "vendor" }
    })
    onLoad({ filter: /.*/, namespace: "vendor" }, async ({ path }) => ({
      contents: await handingOn(path),
      resolveDir: root
    }))
  }
}

await build({
  ...common,
  entryPoints: [...vendored].map((specifier) => ({ in: `vendor:${specifier}`, out: vendorName(specifier) })),
  outdir: "dist/lib/vendor",
  splitting: true,
  minifySyntax: true,
  minifyWhitespace: true,
  external: ["effect"],
  plugins: [vendorEntry, withoutModelRuntimes, namedDynamicImports]
})

execFileSync(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", "tsconfig.build.json"], {
  cwd: root,
  stdio: "inherit"
})
writeFileSync(join(dist, "bin/package.json"), '{ "type": "module" }\n')
