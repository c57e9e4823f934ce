/**
 * Tests that start whole systems, such as several agents with a database, and wait for what takes its time: that somebody is
 * missing is noticed after seconds. `npm test` leaves them out, so that it stays quick; `npm run test:systems` runs them.
 */
export const systems: ReadonlyArray<string> = [
  "test/access/*.integration.test.ts",
  "test/cli/calibrate.integration.test.ts",
  "test/cli/correctness.integration.test.ts",
  "test/cli/fleet.integration.test.ts",
  "test/cli/output.integration.test.ts",
  "test/cli/replay.integration.test.ts",
  "test/cli/replay.process.integration.test.ts",
  "test/cli/secrets.integration.test.ts",
  "test/cli/simulate.integration.test.ts",
  "test/cli/tokens.integration.test.ts",
  "test/cli/workers.integration.test.ts",
  "test/deploy/*.integration.test.ts",
  "test/fleet/cluster*.integration.test.ts",
  "test/output/LiveMetrics.integration.test.ts",
  "test/output/OtlpSpans.integration.test.ts",
  "test/output/Report.integration.test.ts",
  "test/provider/hostile.integration.test.ts",
  "test/schemas.integration.test.ts"
]
