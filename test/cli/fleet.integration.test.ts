import { assert, describe, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"
import { existsSync, readdirSync } from "node:fs"
import { join } from "node:path"
import * as Quantile from "../../src/metrics/Quantile.ts"
import * as Fleets from "./fleets.ts"
import { file, folder } from "./invocation.ts"
import { type Answer, type OpenAiServer } from "./openAiServer.ts"
import { type Fields, rowsIn, start, until } from "./processes.ts"

const upTo = (count: number): Array<number> => Array.from({ length: count }, (_, index) => index + 1)

const byId = (rows: ReadonlyArray<Fields>): ReadonlyArray<Fields> =>
  rows.toSorted((a, b) => Number(a["request_id"]) - Number(b["request_id"]))

const idsOf = (rows: ReadonlyArray<Fields>): ReadonlyArray<number> => byId(rows).map((row) => Number(row["request_id"]))

const sorted = (ids: Iterable<number>): ReadonlyArray<number> => [...ids].toSorted((a, b) => a - b)

const numberOf = (header: string): number => Number(header.slice("night-".length))

/** What was asked of the server, by id: the hash of the prompt, and the length of the answer. */
const asked = ({ ids, seen }: OpenAiServer): ReadonlyArray<readonly [string, string, unknown]> =>
  seen
    .map(({ body }, index) => {
      const prompt = createHash("sha256").update(JSON.stringify(body["messages"])).digest("hex")
      return [ids()[index] ?? "", prompt, body["max_tokens"] ?? body["max_completion_tokens"]] as const
    })
    .toSorted(([a], [b]) => numberOf(a) - numberOf(b))

/** What does not depend on the moment at which a request was sent. */
const untimed = (rows: ReadonlyArray<Fields>) =>
  byId(rows).map((row) => ({
    id: row["request_id"],
    header: row["x_request_id"],
    error: row["error_code"],
    input: row["number_input_tokens"],
    wanted: row["target_input_tokens"],
    output: row["target_output_tokens"]
  }))

const due = (rows: ReadonlyArray<Fields>) => byId(rows).map((row) => Math.round(Number(row["intended_offset_s"]) * 1e6))

/** Rows with and without the name of an agent, to be compared. */
const keysOf = (rows: ReadonlyArray<Fields>) => [...new Set(rows.map((row) => Object.keys(row).join(" ")))]

const quantiles = { p25: 0.25, p50: 0.5, p75: 0.75, p90: 0.9, p95: 0.95, p99: 0.99 }

/** Recomputes quantiles of the summary from the rows. */
const assertQuantiles = (summary: Fields, prefix: string, rows: ReadonlyArray<Fields>) => {
  for (const key of ["ttft_s", "end_to_end_latency_s", "inter_token_latency_s", "number_output_tokens"]) {
    const values = rows
      .filter((row) => row["error_code"] === null && row[key] !== null)
      .map((row) => Number(row[key]))
      .toSorted((a, b) => a - b)
    assert.isAbove(values.length, 0)
    for (const [name, q] of Object.entries(quantiles)) {
      const found = Number(summary[`${prefix}${key}_quantiles_${name}`])
      assert.closeTo(found, Quantile.quantile(values, q) ?? Number.NaN, 1e-9, `${key} ${name}`)
    }
  }
}

/** Nothing that runs have left with the agents. */
const assertNothingKept = (fleet: Fleets.Fleet) => {
  for (const { rows } of fleet.agents) assert.deepStrictEqual(existsSync(rows) ? readdirSync(rows) : [], [])
}

/** A load test in a process of its own, with its results. */
const loadTest = Effect.fnUntraced(function* (
  server: OpenAiServer,
  senders: ReadonlyArray<string>,
  ...args: ReadonlyArray<string>
) {
  const results = join(yield* folder, "results")
  const running = yield* start(
    [...Fleets.small, `--api-base=${server.url}`, `--results-dir=${results}`, ...senders, ...args],
    Fleets.credentials
  )
  return {
    running,
    results: () => Fleets.resultsIn(results),
    rows: (name = "records.ndjson") => rowsIn(join(results, name)),
    hasRows: () => existsSync(join(results, "records.ndjson"))
  }
})

/** The same, which ends well. */
const completed = Effect.fnUntraced(function* (
  answer: () => Answer,
  senders: ReadonlyArray<string>,
  ...args: ReadonlyArray<string>
) {
  const server = yield* Fleets.serverOf(answer)
  const run = yield* loadTest(server, senders, ...args)
  assert.strictEqual(yield* run.running.ended, 0, run.running.stderr())
  return { ...run, server, records: run.rows(), files: run.results() }
})

/** No request was sent twice, whoever sent it. */
const assertNoneTwice = (server: OpenAiServer) => {
  const ids = server.ids()
  assert.lengthOf([...new Set(ids)], ids.length)
}

/** Every planned request is in the files, or is one of those that are named as lost. */
const assertAllToldOf = (rows: ReadonlyArray<Fields>, lost: ReadonlyArray<number>, planned: number) => {
  assert.deepStrictEqual(sorted([...idsOf(rows), ...lost]), upTo(planned))
}

const oneLine = (text: string): string => text.replaceAll(/\s+/g, " ")

const closedFlags = (inFlight: number, count: number) => [
  `--num-concurrent-requests=${inFlight}`,
  `--max-num-completed-requests=${count}`
]

/** The keys of a summary, with those that only runs of several have. */
const keysWith = (summary: Fields, others: ReadonlyArray<string>): ReadonlyArray<string> => {
  const keys = Object.keys(summary)
  return keys.toSpliced(keys.indexOf("workers") + 1, 0, ...others)
}

/** A schedule of offsets, input and output tokens. */
const scheduleOf = (rows: ReadonlyArray<ReadonlyArray<number>>) =>
  file("s.csv", `scheduled_offset_s,input_tokens,output_tokens\n${rows.map((row) => `${row.join(",")}\n`).join("")}`)

/** That the summary and the console name these as lost, with what they held. Gives the words for each. */
const assertLost = (summary: Fields, stdout: string, lost: ReadonlyArray<string>): ReadonlyArray<string> => {
  const agents = Fleets.agentsIn(summary).filter((agent) => agent["lost"] !== null)
  assert.sameMembers(
    agents.map(({ name }) => name),
    [...lost]
  )
  assert.strictEqual(summary["partial"], true)
  assert.sameMembers(
    [...Fleets.idsIn(summary["lost_requests"])],
    agents.flatMap((agent) => Fleets.idsIn(agent["lost_requests"]))
  )
  const said = oneLine(stdout)
  for (const agent of agents) {
    const { length } = Fleets.idsIn(agent["lost_requests"])
    const held = length === 0 ? "; it held no requests" : `: ${length} request`
    assert.include(said, `${agent["name"]} was lost (${agent["lost"]})${held}`)
  }
  return lost.map((name) => String(agents.find((agent) => agent["name"] === name)?.["lost"]))
}

const shared = layer(Fleets.Fleets.layer(2), { concurrent: true, excludeTestServices: true, timeout: 120_000 })

describe("llmperf load-test --agents", { timeout: 120_000 }, () => {
  shared("with agents that stay", (it) => {
    it.effect("sends in a closed loop what one process and two threads send, and leaves the same files", () =>
      Effect.gen(function* () {
        const fleet = yield* Fleets.borrowed
        const run = (senders: ReadonlyArray<string>) =>
          completed(() => ({ everyMillis: 8 }), senders, ...closedFlags(7, 70))
        const one = yield* run([])
        const two = yield* run(["--workers=2"])
        const three = yield* run(Fleets.flagsOf(fleet))

        assert.deepStrictEqual(idsOf(one.records), upTo(70))
        for (const other of [two, three]) {
          assert.deepStrictEqual(untimed(other.records), untimed(one.records))
          assert.deepStrictEqual(asked(other.server), asked(one.server))
          assert.strictEqual(other.server.peak(), 7)
          assert.strictEqual(other.server.seen.length, 70)
          assert.deepStrictEqual(other.files.names, one.files.names)
        }
        const { files, records, running } = three
        assert.deepStrictEqual(
          keysOf(records),
          keysOf(one.records).map((keys) => `${keys} agent`)
        )
        const ofWorkers = ["requests_per_worker", "partial", "lost_requests"]
        assert.deepStrictEqual(Object.keys(two.files.summary), keysWith(one.files.summary, ofWorkers))
        assert.deepStrictEqual(
          Object.keys(files.summary),
          keysWith(one.files.summary, [...ofWorkers, "start_spread_s", "agents"])
        )
        assert.deepInclude(files.summary, { workers: 3, partial: false, lost_requests: [], stopped: null })
        assertQuantiles(files.summary, "results_", records)
        assert.deepStrictEqual(byId(files.responses), byId(records))
        const agents = Fleets.agentsIn(files.summary)
        assert.deepStrictEqual(
          agents.map(({ missing_rows, name, requests }) => [name, requests, missing_rows]),
          Fleets.addressesOf(fleet).map((address) => [
            address,
            records.filter(({ agent }) => agent === address).length,
            0
          ])
        )
        assert.isTrue(agents.every(({ requests }) => Number(requests) > 0))
        assert.include(running.stdout(), "7 in flight, 3 agents")
        assertNothingKept(fleet)
      })
    )

    it.effect("gives agent k of 3 the requests of an open loop whose index is k modulo 3", () =>
      Effect.gen(function* () {
        const fleet = yield* Fleets.borrowed
        const offsets = upTo(48).map((id) => (id - 1) * 0.025)
        const schedule = yield* scheduleOf(offsets.map((offset, index) => [offset, 50 + (index % 5), 3 + (index % 4)]))
        const run = (senders: ReadonlyArray<string>) =>
          completed(() => ({}), senders, `--schedule-file=${schedule}`, "--no-schedule-file-subdir")
        const one = yield* run([])
        const two = yield* run(["--workers=2"])
        const three = yield* run(Fleets.flagsOf(fleet))

        assert.deepStrictEqual(idsOf(one.records), upTo(48))
        assert.deepStrictEqual(
          due(one.records),
          offsets.map((offset) => Math.round(offset * 1e6))
        )
        for (const other of [two, three]) {
          assert.deepStrictEqual(untimed(other.records), untimed(one.records))
          assert.deepStrictEqual(due(other.records), due(one.records))
          assert.deepStrictEqual(asked(other.server), asked(one.server))
          assert.deepStrictEqual(other.files.names, one.files.names)
          const sent = other.rows("requests_sent.log")
          assert.deepStrictEqual(idsOf(sent), upTo(48))
          assert.deepStrictEqual(keysOf(sent), keysOf(one.rows("requests_sent.log")))
        }
        const addresses = Fleets.addressesOf(fleet)
        assert.deepStrictEqual(
          byId(three.records).map(({ agent }) => agent),
          upTo(48).map((id) => addresses[(id - 1) % 3])
        )
        assertQuantiles(three.files.summary, "", three.records)
        assert.deepStrictEqual(byId(three.files.responses), byId(three.records))
        assertNothingKept(fleet)
      })
    )

    it.effect("goes on without an agent that is frozen, which stops by itself and then works for others", () =>
      Effect.gen(function* () {
        const fleet = yield* Fleets.borrowed
        const [frozen] = fleet.agents
        const server = yield* Fleets.serverOf(() => ({ words: 10, everyMillis: 10 }))
        const { results, rows, running } = yield* loadTest(server, Fleets.flagsOf(fleet), ...closedFlags(6, 240))
        yield* running.until(() => server.seen.length >= 18, "some have been sent")
        frozen.running.signal("SIGSTOP")
        const frozenAt = performance.now()
        assert.strictEqual(yield* running.ended, 1, running.stderr())
        console.log("frozen: ended after", performance.now() - frozenAt)
        const told = assertLost(results().summary, running.stdout(), [frozen.address])
        assert.include(told[0], "nothing was heard of it for 5 s")
        const seen = server.seen.length
        frozen.running.signal("SIGCONT")
        yield* Fleets.isFree(fleet)
        assert.strictEqual(server.seen.length, seen)
        assertNoneTwice(server)
        console.log(
          server.arrivals
            .filter((at) => at > frozenAt)
            .map((at) => Math.round(at - frozenAt))
            .filter((_, i) => i % 10 === 0)
            .join(" ")
        )
        console.log(rows().length, JSON.stringify(results().summary["agents"]), running.stdout())
      })
    )

    it.effect("goes on without an agent that is cut off, and has its rows when it is back in time", () =>
      Effect.gen(function* () {
        const fleet = yield* Fleets.borrowed
        const [one, two, three] = fleet.agents
        const way = yield* Fleets.way(two)
        const server = yield* Fleets.serverOf(() => ({ words: 10, everyMillis: 10 }))
        const flags = Fleets.flagsOf(fleet, [one.address, way.address, three.address])
        const { results, rows, running } = yield* loadTest(server, flags, ...closedFlags(6, 240))
        yield* running.until(() => server.seen.length >= 18, "some have been sent")
        way.hold()
        const heldAt = performance.now()
        yield* until(() => two.sessions().ended === two.sessions().begun, "the agent has stopped by itself")
        console.log("cut: agent stopped after", performance.now() - heldAt)
        const seen = server.seen.length
        yield* Effect.sleep(1000)
        way.release()
        assert.strictEqual(yield* running.ended, 1, running.stderr())
        console.log("cut: ended after", performance.now() - heldAt, seen)
        const told = assertLost(results().summary, running.stdout(), [way.address])
        console.log(told, rows().length, JSON.stringify(results().summary["agents"]), running.stdout())
        assertNoneTwice(server)
        assertAllToldOf(rows(), Fleets.idsIn(results().summary["lost_requests"]), 240)
      })
    )

    it.effect("goes on without an agent that is cut off for good", () =>
      Effect.gen(function* () {
        const fleet = yield* Fleets.borrowed
        const [one, two, three] = fleet.agents
        const way = yield* Fleets.way(two)
        const server = yield* Fleets.serverOf(() => ({ words: 10, everyMillis: 10 }))
        const flags = Fleets.flagsOf(fleet, [one.address, way.address, three.address])
        const { results, rows, running } = yield* loadTest(server, flags, ...closedFlags(6, 240))
        yield* running.until(() => server.seen.length >= 18, "some have been sent")
        way.hold()
        const heldAt = performance.now()
        assert.strictEqual(yield* running.ended, 1, running.stderr())
        console.log("cut for good: ended after", performance.now() - heldAt)
        const told = assertLost(results().summary, running.stdout(), [way.address])
        console.log(told, rows().length, JSON.stringify(results().summary["agents"]), running.stdout())
        assertNoneTwice(server)
      })
    )

    it.effect("stops at Ctrl-C: nothing new is sent, what is in flight ends, and all is saved", () =>
      Effect.gen(function* () {
        const fleet = yield* Fleets.borrowed
        const server = yield* Fleets.serverOf(() => ({ words: 10, everyMillis: 40 }))
        const { results, rows, running } = yield* loadTest(server, Fleets.flagsOf(fleet), ...closedFlags(6, 600))
        yield* running.until(() => server.seen.length >= 18, "some have been sent")
        running.signal("SIGINT")
        const at = performance.now()
        assert.strictEqual(yield* running.ended, 130, running.stderr())
        console.log("ctrl-c: ended after", performance.now() - at, "last arrival", Math.max(...server.arrivals) - at)
        assert.lengthOf(server.finished, server.seen.length)
        assertNoneTwice(server)
        const { summary } = results()
        assert.deepInclude(summary, { stopped: "interrupted", partial: false, lost_requests: [] })
        assert.deepInclude(summary, {
          results_num_unsent_requests: 600 - server.seen.length,
          results_num_cancelled_requests: 0
        })
        assert.lengthOf(rows(), server.seen.length)
        assertNothingKept(fleet)
      })
    )

    it.effect("cancels at once at the second Ctrl-C, whatever has become of an agent, and saves", () =>
      Effect.gen(function* () {
        const fleet = yield* Fleets.borrowed
        const [frozen] = fleet.agents
        const server = yield* Fleets.serverOf((ordinal) =>
          ordinal <= 18 ? {} : { words: 9, everyMillis: 60_000, eager: true }
        )
        const { rows, running } = yield* loadTest(server, Fleets.flagsOf(fleet), ...closedFlags(6, 600), "--grace=1h")
        yield* running.until(() => server.seen.length === 24 && server.finished.length === 18, "six are in flight")
        yield* Effect.sleep(1000)
        frozen.running.signal("SIGSTOP")
        running.signal("SIGINT")
        yield* running.until(() => running.stderr().includes("Stopping"), "it has noticed")
        const at = performance.now()
        running.signal("SIGINT")
        assert.strictEqual(yield* running.ended, 130, running.stderr())
        console.log("second ctrl-c: ended after", performance.now() - at)
        console.log(
          rows()
            .map((row) => [row["request_id"], row["error_reason"], row["agent"]].join())
            .join(" ")
        )
        frozen.running.signal("SIGCONT")
        yield* until(() => server.live() === 0, "nothing is in flight")
        assert.strictEqual(server.seen.length, 24)
      })
    )

    it.effect("its agents stop when it is killed, and are free for the next", () =>
      Effect.gen(function* () {
        const fleet = yield* Fleets.borrowed
        const server = yield* Fleets.serverOf(() => ({ words: 10_000, everyMillis: 20 }))
        const { running } = yield* loadTest(server, Fleets.flagsOf(fleet), ...closedFlags(6, 600))
        yield* running.until(() => server.seen.length >= 6, "some have been sent")
        running.signal("SIGKILL")
        const at = performance.now()
        yield* until(() => server.live() === 0, "nothing is in flight")
        console.log("killed: stopped after", performance.now() - at)
        yield* Fleets.isFree(fleet)
        const next = yield* completed(() => ({}), Fleets.flagsOf(fleet), ...closedFlags(6, 30))
        assert.deepStrictEqual(idsOf(next.records), upTo(30))
      })
    )

    it.effect("does not call a run complete whose agents have stopped because it was frozen itself", () =>
      Effect.gen(function* () {
        const fleet = yield* Fleets.borrowed
        const server = yield* Fleets.serverOf(() => ({ words: 10, everyMillis: 10 }))
        const { results, rows, running } = yield* loadTest(server, Fleets.flagsOf(fleet), ...closedFlags(6, 600))
        yield* running.until(() => server.seen.length >= 18, "some have been sent")
        running.signal("SIGSTOP")
        const at = performance.now()
        yield* Fleets.isFree(fleet)
        console.log("frozen coordinator: agents stopped after", performance.now() - at)
        const seen = server.seen.length
        yield* Effect.sleep(1000)
        running.signal("SIGCONT")
        assert.strictEqual(yield* running.ended, 1, running.stdout())
        console.log(
          server.seen.length,
          seen,
          rows().length,
          JSON.stringify(results().summary["agents"]),
          running.stdout()
        )
      })
    )
  })
})
