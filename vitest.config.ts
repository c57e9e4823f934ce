import { configDefaults, defineConfig } from "vitest/config"
import { systems } from "./test/systems/systems.ts"

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    exclude: [...configDefaults.exclude, ...systems],
    // Test files share their threads: half of the time went into loading the same modules for each of them
    isolate: false,
    // One of two processors would otherwise be left to vitest itself, which needs little of it
    maxWorkers: 2,
    testTimeout: 30_000
  }
})
