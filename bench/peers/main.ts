/**
 * `node bench/peers/main.ts`: llmperf beside other load testers, on the same work, against a server that knows when it sent
 * each token. See docs/accuracy.md.
 */
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { Argument, Command, Flag } from "effect/cli"
import { FetchHttpClient } from "effect/http"
import packageJson from "../../package.json" with { type: "json" }
import { BenchError, during } from "../internal/BenchError.ts"
import * as Environment from "../internal/Environment.ts"
import * as Setup from "../internal/Setup.ts"
import * as Table from "../internal/Table.ts"
import * as Compare from "./compare.ts"
import { install } from "./install.ts"
import { llmperf } from "./llmperf.ts"
import { programOf, run } from "./measure.ts"
import { type Peer, type Work } from "./Peer.ts"
import { Run } from "./Run.ts"
import { leftOut, tools } from "./tools.ts"

const positiveInt = Schema.Int.check(Schema.isGreaterThan(0))

const toolNames = tools.map(({ name }) => name)

const pace = { ttftMs: 100, itlMs: 20 }

/** The work of each load; `requests` of a trial are fewer. */
const worksOf = (requests: number | null): ReadonlyArray<Work> => [
  {
    requests: requests ?? 2_000,
    inputTokens: 550,
    outputTokens: 100,
    pace,
    load: { kind: "closed", concurrency: 200 }
  },
  { requests: requests ?? 1_000, inputTokens: 550, outputTokens: 100, pace, load: { kind: "open", perSecond: 50 } }
]

const titleOf = ({ requests, inputTokens, outputTokens, pace, load }: Work): string =>
  `${requests} requests, ${load.kind === "closed" ? `${load.concurrency} at a time` : `${load.perSecond} a second, Poisson`}; ` +
  `${inputTokens} tokens in, ${outputTokens} out, ${pace.ttftMs} ms to the first and ${pace.itlMs} ms to every other token`

const installCommand = Command.make(
  "install",
  {
    tools: Argument.Literals("tools", toolNames).pipe(
      Argument.variadic(),
      Argument.withDescription("Which; without any, all")
    )
  },
  ({ tools: named }) =>
    Effect.forEach(
      tools.filter(({ name }) => named.length === 0 || named.includes(name)),
      (peer) => install(peer)
    )
).pipe(
  Command.withDescription(
    "Install tools, each into a folder of its own below PEERS (by default llmperf-peers in the user's cache), with the pip of PYTHON (python3) and with cargo. Some take gigabytes."
  )
)

const decodeRun = Schema.decodeUnknownEffect(Schema.fromJsonString(Run))

/** The runs that a file holds, one a line; none when there is no such file. */
const readRuns = Effect.fnUntraced(
  function* (file: string) {
    const fs = yield* FileSystem.FileSystem
    if (!(yield* fs.exists(file))) return []
    const lines = (yield* fs.readFileString(file)).split("\n").filter((line) => line !== "")
    return yield* Effect.forEach(lines, (line) => decodeRun(line))
  },
  Effect.mapError((error) => during("Reading earlier runs")(error))
)

const appendRun = Effect.fnUntraced(
  function* (file: string, result: Run) {
    const fs = yield* FileSystem.FileSystem
    yield* fs.writeFileString(file, `${JSON.stringify(result)}\n`, { flag: "a" })
  },
  Effect.mapError((error) => during("Keeping a run")(error))
)

const runCommand = Command.make(
  "run",
  {
    tools: Argument.Literals("tools", ["llmperf", ...toolNames]).pipe(
      Argument.variadic(),
      Argument.withDescription("Which; without any, all that are installed")
    ),
    load: Flag.Literals("load", ["closed", "open", "both"]).pipe(
      Flag.withDescription("closed: 200 requests at a time. open: 50 requests a second (default: both)"),
      Flag.withDefault("both")
    ),
    rounds: Flag.Int("rounds").pipe(
      Flag.withSchema(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))),
      Flag.withDescription("How often all tools are run, one after the other; 0 only prints --keep (default: 3)"),
      Flag.withDefault(3)
    ),
    requests: Flag.Int("requests").pipe(
      Flag.withSchema(positiveInt),
      Flag.withDescription("Requests of each run, for a trial (default: in full)"),
      Flag.optional
    ),
    keep: Flag.String("keep").pipe(
      Flag.withDescription(
        "A file that runs are added to; the tables are then of all runs in it with the same settings, so that a long measurement can be done piece by piece"
      ),
      Flag.optional
    ),
    sources: Flag.Boolean("sources").pipe(
      Flag.withDescription("Run llmperf from its sources although there is a build"),
      Flag.withDefault(false)
    ),
    json: Flag.Boolean("json").pipe(
      Flag.withDescription("Print every single run as JSON instead of tables"),
      Flag.withDefault(false)
    )
  },
  (input) => {
    const setup = Setup.layer({ pairs: input.rounds, sources: input.sources, replayRows: null, memoryRequests: 1 })
    return Effect.gen(function* () {
      const { llmperf: ours } = yield* Setup.Setup
      const environment = yield* Environment.read
      const peers = [llmperf(ours.script, packageJson.version), ...tools].filter(
        ({ name }) => input.tools.length === 0 || input.tools.includes(name)
      )
      const installed: Array<{ peer: Peer; program: string }> = []
      const missing: Array<string> = []
      for (const peer of peers) {
        const program = yield* programOf(peer)
        if (Option.isSome(program)) installed.push({ peer, program: program.value })
        else missing.push(peer.name)
      }
      const works = worksOf(Option.getOrNull(input.requests)).filter(
        ({ load }) => input.load === "both" || input.load === load.kind
      )
      const machine = `${environment["cpu"]}, ${environment["cores"]} cores, node ${environment["node"]}, server ${environment["server"]}`
      const settingsOf = (work: Work) => `${titleOf(work)}; ${machine}`
      const results: Array<Run> = Option.isSome(input.keep) ? [...(yield* readRuns(input.keep.value))] : []
      const failures: Array<string> = []
      for (let round = 1; round <= input.rounds; round++) {
        for (const work of works) {
          for (const { peer, program } of installed) {
            yield* Console.error(`round ${round} of ${input.rounds}, ${work.load.kind} loop: ${peer.name}`)
            const result = yield* run(peer, program, work, settingsOf(work)).pipe(
              Effect.catchTag("BenchError", (error) => {
                failures.push(error.description)
                return Effect.as(Console.error(error.description), null)
              })
            )
            if (result === null) continue
            results.push(result)
            if (Option.isSome(input.keep)) yield* appendRun(input.keep.value, result)
          }
        }
      }
      const grids = works.flatMap((work) => {
        const runs = results.filter(({ settings }) => settings === settingsOf(work))
        return runs.length === 0 ? [] : [{ work, runs }]
      })
      const sentences = [
        ...grids.filter(({ work }) => work.load.kind === "closed").flatMap(({ runs }) => Compare.bars(runs, tools)),
        ...missing.map((name) => `left out: ${name}, which is not installed`),
        ...Object.entries(leftOut).map(([name, why]) => `left out: ${name}: ${why}`),
        ...failures.map((failure) => `failed: ${failure.slice(0, 300)}`)
      ]
      yield* Console.log(
        input.json
          ? JSON.stringify({ environment, runs: results, sentences }, null, 2)
          : Table.renderGrids(
              environment,
              grids.map(({ work, runs }) => Compare.grid(titleOf(work), runs)),
              sentences
            )
      )
      if (failures.length > 0) return yield* new BenchError({ description: `${failures.length} runs failed` })
    }).pipe(Effect.provide(Layer.merge(setup, FetchHttpClient.layer)))
  }
).pipe(
  Command.withDescription(
    "Run llmperf and the installed tools in turn, each against a server of its own, and print what each adds and costs"
  )
)

const peers = Command.make("peers").pipe(
  Command.withDescription("llmperf beside other load testers. MOCKLLM names the binary of the mock server."),
  Command.withSubcommands([installCommand, runCommand])
)

peers.pipe(Command.run({ version: packageJson.version }), Effect.provide(NodeServices.layer), NodeRuntime.runMain)
