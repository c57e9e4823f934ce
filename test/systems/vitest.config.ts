import { defineConfig } from "vitest/config"
import { systems } from "./systems.ts"

/** Tests that start whole systems: `npm run test:systems`. They mostly wait, so several run at a time. */
export default defineConfig({
  test: {
    include: [...systems],
    isolate: false,
    maxWorkers: 3,
    testTimeout: 60_000
  }
})
