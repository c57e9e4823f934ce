import chromium, { inflate } from "@sparticuz/chromium"
import { existsSync } from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { type Browser, chromium as playwright } from "playwright-core"

/** The libraries that Chromium needs and that a bare machine does not have (NSS, NSPR, expat) come with it too. */
const withLibraries = async (): Promise<string> => {
  const bin = join(dirname(createRequire(import.meta.url).resolve("@sparticuz/chromium")), "..", "bin")
  const unpacked = join(tmpdir(), "al2023")
  if (!existsSync(unpacked)) await inflate(join(bin, "al2023.tar.br"))
  return join(unpacked, "lib")
}

const flags = [
  "--no-zygote",
  "--disable-gpu",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-domain-reliability",
  "--disable-sync",
  "--no-first-run",
  "--disable-quic",
  "--font-render-hinting=none"
]

/**
 * Starts the Chromium of the npm package, which is unpacked into the temporary folder once, without a window. It cannot ask
 * anybody: a test that needs it fails where it does not start, and says why.
 */
export const startBrowser = async (): Promise<Browser> => {
  try {
    const executablePath = await chromium.executablePath()
    const start = (env: NodeJS.ProcessEnv) =>
      playwright.launch({ executablePath, headless: true, chromiumSandbox: false, args: flags, env, timeout: 20_000 })
    try {
      return await start(process.env)
    } catch {
      return await start({ ...process.env, LD_LIBRARY_PATH: await withLibraries() })
    }
  } catch (error) {
    throw new Error(
      `The Chromium of @sparticuz/chromium, an x64 Linux program, does not start here: ${error instanceof Error ? error.message : String(error)}`,
      { cause: error }
    )
  }
}
