/**
 * `npm run bench`: what the client costs, next to the least that a client can cost. See docs/benchmarks.md.
 */
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import * as Console from "effect/Console"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { Argument, Command, Flag } from "effect/cli"
import { FetchHttpClient } from "effect/http"
import packageJson from "../package.json" with { type: "json" }
import { BenchError } from "./internal/BenchError.ts"
import * as Environment from "./internal/Environment.ts"
import * as History from "./internal/History.ts"
import { type PartResult } from "./internal/Part.ts"
import * as Setup from "./internal/Setup.ts"
import * as Table from "./internal/Table.ts"
import * as Accuracy from "./parts/accuracy.ts"
import * as Comparison from "./parts/comparison.ts"
import * as Fleet from "./parts/fleet.ts"
import * as FleetSet from "./parts/fleetSet.ts"
import * as HotPath from "./parts/hotPath.ts"
import * as Http2 from "./parts/http2.ts"
import * as ManyStreams from "./parts/manyStreams.ts"
import * as Memory from "./parts/memory.ts"
import * as Replay from "./parts/replay.ts"
import * as Startup from "./parts/startup.ts"
import * as Throughput from "./parts/throughput.ts"
import * as Verdict from "./parts/verdict.ts"

const parts = {
  "hot-path": HotPath.run,
  accuracy: Accuracy.run,
  throughput: Throughput.run,
  startup: Startup.run,
  replay: Replay.run,
  memory: Memory.run,
  "many-streams": ManyStreams.run,
  http2: Http2.run,
  comparison: Comparison.run,
  "replay-long": Replay.runLong,
  fleet: Fleet.run,
  "fleet-set": FleetSet.run,
  verdict: Verdict.run
}

/** What `all` means; the others take long, or measure no client, and must be named. */
const all = ["hot-path", "accuracy", "throughput", "startup", "replay", "many-streams", "http2", "memory"] as const
const names = [...all, "comparison", "replay-long", "fleet", "fleet-set", "verdict"] as const

/** The parts that give ratios: what --check and --record run where no part is named. */
const withRatios = ["hot-path", "throughput"] as const

const positiveInt = Schema.Int.check(Schema.isGreaterThan(0))

/** `memory` in full takes minutes: it must be asked for. */
const memoryRequests = { full: 200_000, short: 20_000 }

const bench = Command.make(
  "bench",
  {
    parts: Argument.Literals("parts", [...names, "all"]).pipe(
      Argument.variadic(),
      Argument.withDescription(
        `What to measure; without any, all with a short memory part (${memoryRequests.short} requests). all leaves out comparison, fleet, fleet-set, verdict, and replay-long, which takes nine minutes a side`
      )
    ),
    pairs: Flag.Int("pairs").pipe(
      Flag.withSchema(positiveInt),
      Flag.withDescription("How often both sides are run, one after the other (default: 3)"),
      Flag.withDefault(3)
    ),
    memoryRequests: Flag.Int("memory-requests").pipe(
      Flag.withSchema(positiveInt),
      Flag.withDescription(
        `Requests of the memory part (default: ${memoryRequests.full} when memory or all is named); judged from ${memoryRequests.full} on`
      ),
      Flag.optional
    ),
    rows: Flag.Int("rows").pipe(
      Flag.withSchema(positiveInt),
      Flag.withDescription(
        "Rows of replay and replay-long, and of fleet and fleet-set at most, for a trial; bars are for the load in full (default: in full)"
      ),
      Flag.optional
    ),
    sources: Flag.Boolean("sources").pipe(
      Flag.withDescription("Measure the sources although there is a build"),
      Flag.withDefault(false)
    ),
    check: Flag.Boolean("check").pipe(
      Flag.withDescription(
        "Compare the ratios with those recorded in bench/history and end with 1 when one fell by more than 25 % (hot-path and throughput, if no part is named)"
      ),
      Flag.withDefault(false)
    ),
    record: Flag.Boolean("record").pipe(
      Flag.withDescription("Record the ratios in bench/history (hot-path and throughput, if no part is named)"),
      Flag.withDefault(false)
    ),
    json: Flag.Boolean("json").pipe(
      Flag.withDescription("Print JSON, with every single run, instead of tables"),
      Flag.withDefault(false)
    )
  },
  (input) => {
    const named = new Set(input.parts)
    const usual = input.check || input.record ? withRatios : all
    const ofAll: ReadonlySet<string> = new Set(named.has("all") ? all : named.size === 0 ? usual : [])
    const chosen = names.filter((name) => ofAll.has(name) || named.has(name))
    const setup = Setup.layer({
      pairs: input.pairs,
      sources: input.sources,
      replayRows: Option.getOrNull(input.rows),
      memoryRequests: Option.getOrElse(input.memoryRequests, () =>
        named.has("memory") || named.has("all") ? memoryRequests.full : memoryRequests.short
      )
    })
    return Effect.gen(function* () {
      const environment = yield* Environment.read
      const results: Array<PartResult> = []
      const failed: Array<string> = []
      for (const name of chosen) {
        // What one part could not measure must not take the others' figures with it.
        const result = yield* Effect.catchTag(parts[name], "BenchError", ({ description }) => {
          failed.push(`${name}: ${description}`)
          return Effect.succeed(null)
        })
        if (result === null) continue
        results.push(result)
        if (typeof result.failed === "string") failed.push(result.failed)
      }
      yield* Console.log(
        input.json ? JSON.stringify({ environment, parts: results }, null, 2) : Table.render(environment, results)
      )
      const date = DateTime.formatIso(yield* DateTime.now)
      const recorded = History.of(date, environment, results)
      if (input.check) {
        const comparison = History.compare(recorded, yield* History.read())
        if (comparison === null) return yield* new BenchError({ description: "bench/history has no such run" })
        yield* Console.error(History.render(comparison))
        failed.push(
          ...comparison.changes
            .filter(({ fell }) => fell)
            .map(({ part, what }) => `${part}: ${what} fell by more than 25 %`)
        )
      }
      if (input.record) yield* Console.error(`Recorded in ${yield* History.write(recorded)}`)
      if (failed.length > 0) return yield* new BenchError({ description: failed.join("; ") })
    }).pipe(Effect.provide(Layer.merge(setup, FetchHttpClient.layer)))
  }
).pipe(
  Command.withDescription(
    "Measure llmperf and a hand-written client, in turn, in processes of their own. MOCKLLM names the binary of the mock server, HANDWRITTEN the script of the hand-written client."
  ),
  Command.withExamples([
    { command: "npm run bench", description: "Everything, in about nine minutes" },
    { command: "npm run bench -- hot-path --pairs 5", description: "One part, five pairs" },
    { command: "npm run bench -- replay-long --pairs 1", description: "The long replay, each side once" },
    { command: "npm run bench -- fleet-set --pairs 1", description: "Whether a fleet sends what one process sends" },
    { command: "npm run bench -- verdict --pairs 10", description: "Whether the verdict is right: 100 experiments" },
    { command: "npm run bench -- --check", description: "Whether a ratio fell since it was recorded" },
    { command: "npm run bench -- all --json", description: "Everything in full, as JSON" }
  ])
)

bench.pipe(Command.run({ version: packageJson.version }), Effect.provide(NodeServices.layer), NodeRuntime.runMain)
