import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readFileSync } from "node:fs"
import { get } from "node:http"
import { folder } from "../cli/invocation.ts"
import { json, rowsIn, until } from "../cli/processes.ts"
import * as Compose from "./composeFile.ts"
import * as ComposeProcesses from "./composeProcesses.ts"

const fetchJson = (url: string) =>
  Effect.callback<{ readonly [key: string]: unknown }>((resume) => {
    get(url, (response) => {
      let text = ""
      response.on("data", (data) => (text += String(data)))
      response.on("end", () => resume(Effect.succeed(json(text))))
    })
  })

describe(Compose.path, { timeout: 120_000 }, () => {
  it.live("starts from the repository alone, and its three agents run a load test together", () =>
    Effect.gen(function* () {
      const project = yield* ComposeProcesses.make(Compose.read(), yield* folder)
      const services = yield* project.up
      const agents = Object.keys(services).filter((name) => name.startsWith("agent-"))
      assert.lengthOf(agents, 3)

      const coordinator = yield* project.start("coordinator")
      yield* until(() => coordinator.ended() !== undefined, "the load test ends")
      assert.strictEqual(coordinator.ended(), 0, `${coordinator.stdout()}${coordinator.stderr()}`)
      assert.match(coordinator.stdout(), /150 ok, 0 failed/)

      // The server has seen what was planned, and every agent has sent some of it
      const stats = yield* fetchJson(`http://127.0.0.1:${project.portOf("model", 8089)}/_stats`)
      assert.strictEqual(stats["requests"], 150)
      assert.strictEqual(stats["bad"], 0)
      const rows = rowsIn(project.fileOf("coordinator", "/data/results/records.ndjson"))
      assert.strictEqual(new Set(rows.map((row) => row["request_id"])).size, 150)
      assert.strictEqual(new Set(rows.map((row) => row["agent"])).size, agents.length)
      const summary = json(
        readFileSync(project.fileOf("coordinator", "/data/results/demo_550_60_summary.json"), "utf8")
      )
      assert.strictEqual(summary["results_num_completed_requests"], 150)

      // As the README has it: the same fleet, by other commands
      const status = yield* project.start("coordinator", ["fleet", "status"])
      yield* until(() => status.ended() !== undefined, "the status is there")
      assert.strictEqual(status.ended(), 0, status.stderr())
      for (const agent of agents) assert.include(status.stdout(), `:${project.portOf(agent, 7070)}`)

      // docker compose stop
      for (const each of Object.values(services)) each.signal("SIGTERM")
      for (const each of Object.values(services)) yield* until(() => each.ended() !== undefined, `${each.name} ends`)
    })
  )
})
