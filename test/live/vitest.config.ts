import { defineConfig } from "vitest/config"

/** Tests against real servers: `vitest run --config test/live/vitest.config.ts`. */
export default defineConfig({
  test: {
    include: ["test/live/*.live.ts"],
    testTimeout: 120_000,
    reporters: ["verbose"]
  }
})
