import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // Test files share their threads: half of the time went into loading the same modules for each of them
    isolate: false,
    testTimeout: 30_000
  }
})
