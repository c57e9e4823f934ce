import { assert, describe, it, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"
import { existsSync, readdirSync } from "node:fs"
import { join } from "node:path"
import * as Quantile from "../../src/metrics/Quantile.ts"
import * as Certificates from "../fleet/certificates.ts"
import * as Fleets from "./fleets.ts"
import { file, folder, llmperf } from "./invocation.ts"
import { type Answer, type OpenAiServer } from "./openAiServer.ts"
import { type Fields, rowsIn, start, until } from "./processes.ts"

const upTo = (count: number): Array<number> => Array.from({ length: count }, (_, index) => index + 1)

const byId = (rows: ReadonlyArray<Fields>): ReadonlyArray<Fields> =>
  rows.toSorted((a, b) => Number(a["request_id"]) - Number(b["request_id"]))

const idOf = (row: Fields): number => Number(row["request_id"])

const idsOf = (rows: ReadonlyArray<Fields>): ReadonlyArray<number> => byId(rows).map(idOf)

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

/** Who finds out first that the other is gone depends on who was heard last. */
const FROZEN = /^nothing was heard of it for 5 s$|^it heard nothing from here for 5 s and stopped$/

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

/** The sessions whose rows agents keep. */
const kept = (fleet: Fleets.Fleet): ReadonlyArray<ReadonlyArray<string>> =>
  fleet.agents.map(({ rows }) => sessionsIn(rows))

const sessionsIn = (rows: string): ReadonlyArray<string> => (existsSync(rows) ? readdirSync(rows).toSorted() : [])

/** The rows that an agent keeps of its latest run. */
const keptRows = ({ rows }: Fleets.Agent): ReadonlyArray<Fields> =>
  rowsIn(join(rows, sessionsIn(rows).at(-1) ?? "none", "records.ndjson"))

/** A folder for results, and what a load test of a server has left there. */
const resultsOf = Effect.fnUntraced(function* (server: OpenAiServer) {
  const path = join(yield* folder, "results")
  return {
    args: [...Fleets.small, `--api-base=${server.url}`, `--results-dir=${path}`],
    results: () => Fleets.resultsIn(path),
    rows: (name = "records.ndjson") => rowsIn(join(path, name))
  }
})

/** A load test in a process of its own. */
const loadTest = Effect.fnUntraced(function* (server: OpenAiServer, ...flags: ReadonlyArray<string>) {
  const left = yield* resultsOf(server)
  return { ...left, running: yield* start([...left.args, ...flags], Fleets.credentials) }
})

/** The same, which ends well. */
const completed = Effect.fnUntraced(function* (answer: () => Answer, ...flags: ReadonlyArray<string>) {
  const server = yield* Fleets.serverOf(answer)
  const run = yield* loadTest(server, ...flags)
  assert.strictEqual(yield* run.running.ended, 0, run.running.stderr())
  return { ...run, server, records: run.rows(), files: run.results() }
})

/** The same on one thread, for comparison. */
const alone = Effect.fnUntraced(function* (answer: () => Answer, ...flags: ReadonlyArray<string>) {
  const server = yield* Fleets.serverOf(answer)
  const left = yield* resultsOf(server)
  const { exitCode, stderr } = yield* llmperf([...left.args, ...flags, "--quiet"], { env: Fleets.credentials })
  assert.strictEqual(exitCode, 0, stderr)
  return { ...left, server, records: left.rows(), files: left.results() }
})

/** No request was sent twice, whoever sent it. */
const assertOnce = (server: OpenAiServer) => {
  const ids = server.ids()
  assert.lengthOf([...new Set(ids)], ids.length)
}

/** Nothing was sent twice, and whatever was sent has its row. One that was stopped as it was about to be sent has one too. */
const assertOneRowEach = (server: OpenAiServer, rows: ReadonlyArray<Fields>) => {
  assertOnce(server)
  const came = new Set(server.ids().map(numberOf))
  const sent = rows.filter((row) => came.has(idOf(row)) || row["error_reason"] !== "Cancelled")
  assert.deepStrictEqual(idsOf(sent), sorted(came))
  assert.lengthOf([...new Set(rows.map(idOf))], rows.length)
}

/** The longest time in which no request came, in milliseconds. */
const longestPause = (arrivals: ReadonlyArray<number>): number =>
  Math.max(...arrivals.slice(1).map((at, index) => at - (arrivals[index] ?? at)))

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
  // Those that wait for most come first: meanwhile there is time for the others
  shared("over plain sockets", (it) => {
    it.effect("goes on without agents that are frozen or cut off; these stop by themselves", () =>
      Effect.gen(function* () {
        const fleet = yield* Fleets.borrowed
        const [frozen, cut, third] = fleet.agents
        const way = yield* Fleets.way(cut)
        const server = yield* Fleets.serverOf(() => ({ words: 10, everyMillis: 10 }))
        const flags = Fleets.flagsOf(fleet, [frozen.address, way.address, third.address])
        const { results, rows, running } = yield* loadTest(server, ...flags, ...closedFlags(6, 150))
        yield* running.until(() => server.seen.length >= 60, "some have been sent")
        frozen.running.signal("SIGSTOP")
        way.hold()
        const from = performance.now()
        assert.strictEqual(yield* running.ended, 1, running.stderr())
        const seconds = (performance.now() - from) / 1_000
        // They are found after five, and may come back for eight more
        assert.isAbove(seconds, 12)
        assert.isBelow(seconds, 22)
        const { responses, summary } = results()
        const told = assertLost(summary, running.stdout(), [frozen.address, way.address])
        for (const problem of told) assert.strictEqual(problem, "nothing was heard of it for 5 s")
        assert.isBelow(longestPause(server.arrivals), 4_000)
        frozen.running.signal("SIGCONT")
        yield* Fleets.isFree(fleet)

        // Whatever was sent has its row, here or where the console says, and what was not sent is known
        const here = rows()
        const there = [frozen, cut].map(keptRows)
        assertOneRowEach(server, [...here, ...there.flat()])
        const missing = Fleets.agentsIn(summary).map(({ missing_rows }) => Number(missing_rows))
        for (const [index, kept] of there.entries()) {
          assert.isAbove(missing[index] ?? 0, 0)
          assert.isAtLeast(kept.length, missing[index] ?? 0)
        }
        assert.strictEqual(missing[2], 0)
        assert.include(
          oneLine(running.stdout()),
          `${frozen.address} did not hand over the rows of ${missing[0]} requests`
        )
        assert.strictEqual(
          Number(summary["results_num_completed_requests"]) + Fleets.idsIn(summary["lost_requests"]).length,
          150
        )
        assert.deepStrictEqual(byId(responses), byId(here))
      })
    )

    it.effect("goes on without an agent that is cut off, and has its rows when it is back in time", () =>
      Effect.gen(function* () {
        const fleet = yield* Fleets.borrowed
        const [one, cut, three] = fleet.agents
        const before = kept(fleet)
        const way = yield* Fleets.way(cut)
        const server = yield* Fleets.serverOf(() => ({ words: 10, everyMillis: 10 }))
        const flags = Fleets.flagsOf(fleet, [one.address, way.address, three.address])
        const { results, rows, running } = yield* loadTest(server, ...flags, ...closedFlags(6, 150))
        yield* running.until(() => server.seen.length >= 60, "some have been sent")
        way.hold()
        const { ended } = cut.sessions()
        yield* until(() => cut.sessions().ended > ended, "the agent has stopped by itself")
        way.release()
        assert.strictEqual(yield* running.ended, 1, running.stderr())
        const { summary } = results()
        const [problem] = assertLost(summary, running.stdout(), [way.address])
        assert.match(String(problem), FROZEN)
        assertOneRowEach(server, rows())
        assert.strictEqual(server.seen.length + Fleets.idsIn(summary["lost_requests"]).length, 150)
        assert.deepStrictEqual(kept(fleet), before)
      })
    )

    it.effect("does not call a run complete whose agents have stopped because it was frozen itself", () =>
      Effect.gen(function* () {
        const fleet = yield* Fleets.borrowed
        const before = kept(fleet)
        const server = yield* Fleets.serverOf(() => ({ words: 10, everyMillis: 10 }))
        const { results, rows, running } = yield* loadTest(server, ...Fleets.flagsOf(fleet), ...closedFlags(6, 600))
        yield* running.until(() => server.seen.length >= 18, "some have been sent")
        const { ended } = fleet.agents[0].sessions()
        running.signal("SIGSTOP")
        yield* until(
          () => fleet.agents.every(({ sessions }) => sessions().ended > ended),
          "the agents have stopped by themselves"
        )
        const { length } = server.seen
        running.signal("SIGCONT")
        assert.strictEqual(yield* running.ended, 1, running.stdout())
        const { summary } = results()
        const told = assertLost(summary, running.stdout(), Fleets.addressesOf(fleet))
        for (const problem of told) assert.match(problem, FROZEN)
        assert.strictEqual(server.seen.length, length)
        assertOneRowEach(server, rows())
        const unsent = Number(summary["results_num_unsent_requests"])
        assert.strictEqual(length + unsent + Fleets.idsIn(summary["lost_requests"]).length, 600)
        assert.deepStrictEqual(kept(fleet), before)
      })
    )

    it.effect("sends in a closed loop what one process and two threads send, and leaves the same files", () =>
      Effect.gen(function* () {
        const answer = () => ({ everyMillis: 8 })
        const closed = closedFlags(7, 70)
        const one = yield* alone(answer, ...closed)
        const two = yield* completed(answer, ...closed, "--workers=2")
        const fleet = yield* Fleets.borrowed
        const before = kept(fleet)
        const three = yield* completed(answer, ...closed, ...Fleets.flagsOf(fleet))

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
        assert.deepStrictEqual(kept(fleet), before)
      })
    )

    it.effect("gives agent k of 3 the requests of an open loop whose index is k modulo 3", () =>
      Effect.gen(function* () {
        const offsets = upTo(48).map((id) => (id - 1) * 0.025)
        const schedule = yield* scheduleOf(offsets.map((offset, index) => [offset, 50 + (index % 5), 3 + (index % 4)]))
        const answer = () => ({})
        const open = [`--schedule-file=${schedule}`, "--no-schedule-file-subdir"]
        const one = yield* alone(answer, ...open)
        const two = yield* completed(answer, ...open, "--workers=2")
        const fleet = yield* Fleets.borrowed
        const before = kept(fleet)
        const three = yield* completed(answer, ...open, ...Fleets.flagsOf(fleet))

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
        assert.deepStrictEqual(kept(fleet), before)
      })
    )

    it.effect("stops at Ctrl-C: nothing new is sent, what is in flight ends, and all is saved", () =>
      Effect.gen(function* () {
        const fleet = yield* Fleets.borrowed
        const before = kept(fleet)
        const server = yield* Fleets.serverOf(() => ({ words: 10, everyMillis: 40 }))
        const { results, rows, running } = yield* loadTest(server, ...Fleets.flagsOf(fleet), ...closedFlags(6, 600))
        yield* running.until(() => server.seen.length >= 18, "some have been sent")
        running.signal("SIGINT")
        yield* running.until(() => running.stderr().includes("Stopping"), "it has noticed")
        const at = performance.now()
        assert.strictEqual(yield* running.ended, 130, running.stderr())
        assert.isBelow(Math.max(...server.arrivals) - at, 1_000)
        assert.lengthOf(server.finished, server.seen.length)
        assertOnce(server)
        const { responses, summary } = results()
        assert.deepInclude(summary, {
          stopped: "interrupted",
          partial: false,
          lost_requests: [],
          results_num_unsent_requests: 600 - server.seen.length,
          results_num_cancelled_requests: 0
        })
        assertOneRowEach(server, rows())
        assert.deepStrictEqual(byId(responses), byId(rows()))
        assert.deepStrictEqual(kept(fleet), before)
      })
    )

    it.effect("cancels at once at the second Ctrl-C and saves, although an agent is frozen", () =>
      Effect.gen(function* () {
        const fleet = yield* Fleets.borrowed
        const [frozen] = fleet.agents
        const server = yield* Fleets.serverOf((ordinal) =>
          ordinal <= 18 ? {} : { words: 9, everyMillis: 60_000, eager: true }
        )
        const flags = [...Fleets.flagsOf(fleet), ...closedFlags(6, 600), "--grace=1h"]
        const { rows, running } = yield* loadTest(server, ...flags)
        yield* running.until(() => server.finished.length === 18 && server.live() === 6, "the last six hang")
        frozen.running.signal("SIGSTOP")
        running.signal("SIGINT")
        yield* running.until(() => running.stderr().includes("Stopping"), "it has noticed")
        assert.strictEqual(server.live(), 6)
        running.signal("SIGINT")
        const at = performance.now()
        yield* until(() => server.live() === 2, "those that can be told have cancelled")
        assert.isBelow(performance.now() - at, 2_000)
        assert.strictEqual(yield* running.ended, 130, running.stderr())
        assert.isBelow(performance.now() - at, 10_000)
        frozen.running.signal("SIGCONT")
        yield* Fleets.isFree(fleet)
        yield* until(() => server.live() === 0, "nothing is in flight")

        const all = [...rows(), ...keptRows(frozen)]
        assertOneRowEach(server, all)
        assert.lengthOf(all, 24)
        const cancelled = all.filter(({ error_reason }) => error_reason === "Cancelled")
        assert.lengthOf(cancelled, 6)
        assert.isAtLeast(rows().length, 4)
      })
    )

    it.effect("has its agents to itself; they stop when it is killed, and are free for the next", () =>
      Effect.gen(function* () {
        const fleet = yield* Fleets.borrowed
        const server = yield* Fleets.serverOf(() => ({ words: 10_000, everyMillis: 20 }))
        const { running } = yield* loadTest(server, ...Fleets.flagsOf(fleet), ...closedFlags(6, 600))
        yield* running.until(() => server.seen.length === 6, "six are in flight")
        const refused = yield* llmperf([...Fleets.small, `--api-base=${server.url}`, ...Fleets.flagsOf(fleet)], {
          env: Fleets.credentials
        })
        assert.strictEqual(refused.exitCode, 2)
        assert.match(refused.stderr, /3 of 3 agents cannot be used\n.* it works for another run \(night-\w+\)\. Wait/)
        assert.strictEqual(server.live(), 6)

        running.signal("SIGKILL")
        const at = performance.now()
        yield* until(() => server.live() === 0, "nothing is in flight")
        assert.isBelow(performance.now() - at, 3_000)
        yield* Fleets.isFree(fleet)
        assert.strictEqual(server.seen.length, 6)
        const next = yield* completed(() => ({}), ...Fleets.flagsOf(fleet), ...closedFlags(6, 30))
        assert.deepStrictEqual(idsOf(next.records), upTo(30))
      })
    )

    it.effect("refuses wrong use before anything is sent", () =>
      Effect.gen(function* () {
        const fleet = yield* Fleets.borrowed
        const server = yield* Fleets.serverOf()
        const [{ address: one }, { address: two }, { address: three }] = fleet.agents
        const addresses = [one, two, three]
        const api = `--api-base=${server.url}`
        const refused = (args: ReadonlyArray<string>) =>
          Effect.map(llmperf([...Fleets.small, api, ...args], { env: Fleets.credentials }), ({ exitCode, stderr }) => {
            assert.strictEqual(exitCode, 2, stderr)
            return stderr
          })
        const agents = Fleets.flagsOf(fleet)
        const token = (path: string) => [agents[0] ?? "", `--token-file=${path}`]
        const wrong = yield* Fleets.tokenFile("fedcba9876543210".repeat(4))
        const allOf = (text: string) =>
          `3 of 3 agents cannot be used\n${addresses.map((each) => `  ${each}: ${text}\n`).join("")}`
        assert.strictEqual(
          yield* refused(token(wrong)),
          allOf("it has another token. Give both the same one: --token-file")
        )
        assert.match(
          yield* refused(Fleets.flagsOf(fleet, [one, "127.0.0.1:1", three])),
          /^1 of 3 agents cannot be used\n {2}127\.0\.0\.1:1: nobody listens there\. Start an agent on that machine/
        )
        assert.match(yield* refused(Fleets.flagsOf(fleet, [one, two, one])), /it is the same agent as .* Name it once/)
        assert.match(yield* refused(agents.slice(0, 1)), /^--token-file must be given/)
        assert.match(yield* refused(token(`${wrong}.not`)), /token\.not: there is no such file/)
        assert.match(
          yield* refused(token(yield* Fleets.tokenFile("short"))),
          /a token has at least 16 characters, this has 5/
        )
        assert.match(
          yield* refused(token(yield* Fleets.tokenFile(Fleets.TOKEN, 0o644))),
          /every user of this machine can read it\. It is a secret: chmod 600/
        )
        assert.match(yield* refused([...agents, "--workers=2"]), /^--workers are threads of this machine: leave it out/)
        assert.match(
          yield* refused([...agents, "--request-rate=9", "--duration=9s", "--max-in-flight=2"]),
          /^3 agents: only 2 requests are in flight at a time \(--max-in-flight\)/
        )
        assert.match(
          yield* refused([...agents, ...closedFlags(2, 30)]),
          /^3 agents: only 2 requests are in flight at a time/
        )
        assert.match(yield* refused([...agents, ...closedFlags(9, 2)]), /^3 agents: there are only 2 requests/)
        assert.match(yield* refused([...agents, "--calibrate"]), /^--calibrate measures this machine, and others send/)
        assert.lengthOf(server.seen, 0)
        assert.strictEqual(server.connections(), 0)
      })
    )
  })

  describe.concurrent("over TLS", () => {
    it.live("works when both show certificates, and goes on without agents that are killed or ended", () =>
      Effect.gen(function* () {
        const ca = Certificates.authority("our CA")
        const certificate = Effect.gen(function* () {
          const own = ca.issue()
          const path = yield* Certificates.files({ cert: own.cert, key: own.key, ca: ca.cert })
          return [`--tls-cert=${path("cert")}`, `--tls-key=${path("key")}`, `--tls-ca=${path("ca")}`]
        })
        const fleet = yield* Fleets.three(certificate)
        const flags = [...Fleets.flagsOf(fleet), ...(yield* certificate)]
        const whole = yield* completed(() => ({}), ...flags, ...closedFlags(6, 60))
        assert.deepStrictEqual(idsOf(whole.records), upTo(60))
        assert.sameMembers([...new Set(whole.records.map(({ agent }) => agent))], [...Fleets.addressesOf(fleet)])
        assert.strictEqual(whole.files.summary["partial"], false)

        const [killed, ended, third] = fleet.agents
        const server = yield* Fleets.serverOf(() => ({ words: 10, everyMillis: 10 }))
        const { results, rows, running } = yield* loadTest(server, ...flags, ...closedFlags(6, 150))
        yield* running.until(() => server.seen.length >= 60, "some have been sent")
        const from = performance.now()
        killed.running.signal("SIGKILL")
        yield* running.until(() => server.seen.length >= 80, "the others go on")
        ended.running.signal("SIGTERM")
        assert.strictEqual(yield* ended.running.ended, 0)
        assert.strictEqual(yield* running.ended, 1, running.stderr())
        // They are found at once, and may come back for eight seconds
        assert.isBelow(performance.now() - from, 18_000)
        const { responses, summary } = results()
        const told = assertLost(summary, running.stdout(), [killed.address, ended.address])
        assert.deepStrictEqual(told, ["the connection was closed at its side", "it was stopped from outside"])
        assertOnce(server)
        const here = rows()
        assert.isTrue(here.every(({ agent }) => agent === third.address))
        const lost = Fleets.idsIn(summary["lost_requests"])
        const missing = Fleets.agentsIn(summary).map(({ missing_rows }) => Number(missing_rows))
        assert.isTrue(missing[2] === 0 && missing.slice(0, 2).every((count) => count > 0))
        assert.strictEqual(here.length + lost.length + missing.reduce((sum, count) => sum + count, 0), 150)
        assert.strictEqual(Number(summary["results_num_completed_requests"]) + lost.length, 150)
        assert.deepStrictEqual(byId(responses), byId(here))
      })
    )
  })
})
