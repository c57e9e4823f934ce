/** What the summary says of the agents on other machines. */
import { type Fields } from "../../output/ResultFiles.ts"
import { type AgentResult } from "../RunResult.ts"

const spread = (moments: ReadonlyArray<number>): number | null =>
  moments.length === 0 ? null : Math.max(...moments) - Math.min(...moments)

/** `start_spread_s`: from the first agent that began to send to the last one. `docs/results.md` describes the keys. */
export const describe = (agents: ReadonlyArray<AgentResult>): Fields => ({
  start_spread_s: spread(agents.flatMap(({ startedSeconds }) => startedSeconds ?? [])),
  agents: agents.map((agent) => ({
    name: agent.name,
    host: agent.profile.host,
    version: agent.profile.version,
    cores: agent.profile.cores,
    memory_bytes: agent.profile.memoryBytes,
    open_files: agent.profile.openFiles,
    requests: agent.requests,
    missing_rows: agent.missingRows.length,
    missing_row_ids: agent.missingRows,
    clock_offset_s: agent.offsetSeconds,
    clock_round_trip_s: agent.roundTripSeconds,
    clock_drift_s: agent.driftSeconds,
    started_s: agent.startedSeconds,
    dispatch_lag_s: agent.lag,
    verdict: agent.verdict === null ? null : agent.verdict.grade,
    verdict_reasons: (agent.verdict?.reasons ?? []).map(({ check, grade, limit, sentence, unit, value, what }) => ({
      check,
      verdict: grade,
      what,
      sentence,
      value,
      unit,
      limit
    })),
    lost: agent.lost === null ? null : agent.lost.problem,
    lost_requests: agent.lost === null ? [] : agent.lost.requestIds
  }))
})
