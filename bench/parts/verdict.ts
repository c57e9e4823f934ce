import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { HttpClient } from "effect/http"
import { ChildProcess } from "effect/process"
import { BenchError, during } from "../internal/BenchError.ts"
import { type PartResult } from "../internal/Part.ts"
import * as Row from "../internal/Row.ts"
import * as Server from "../internal/Server.ts"
import { Setup } from "../internal/Setup.ts"
import * as Sides from "../internal/Sides.ts"
import { quantile } from "../internal/Statistics.ts"

/** What the verdict admits of a VALID run: `loop-delay`, or `loop-delay-of-ttft` of the TTFT reported, whichever is more. */
const ADMITTED_SECONDS = 0.005
const ADMITTED_SHARE = 0.1
/** That the machine is busy makes no number wrong: without these, what is VALID is so for its delays alone. */
const SATURATION = ["machine-cpu", "steal", "loop-utilization", "gc-time", "gc-pause"]
/** Below this a number is as good as right, and no INVALID is due. */
const SMALL_ERROR = 0.05

interface Load {
  readonly requests: number
  readonly concurrency: number
  readonly outputTokens: number
  readonly pace: Server.Pace
  readonly flags?: ReadonlyArray<string>
}

/** What is done to the client: `wrap` goes before its command line, `during` beside it from the first request on. */
interface Disturbance {
  readonly what: string
  readonly load: Load
  readonly wrap?: ReadonlyArray<string>
  readonly imports?: { readonly [name: string]: string }
  readonly before?: Effect.Effect<void, BenchError, Spawner>
  readonly during?: (pid: number, folder: string) => Effect.Effect<void, BenchError, Spawner>
}

type Spawner = Effect.Services<ReturnType<typeof ChildProcess.make>> | Scope.Scope

type Draw = (from: number, to: number) => number

/** Numbers that are the same in every bench: a linear congruential generator (Knuth's MMIX). */
const drawOf = (seed: number): Draw => {
  let state = BigInt(seed) * 7_919n + 1n
  const next = () => {
    state = (state * 6_364_136_223_846_793_005n + 1_442_695_040_888_963_407n) % 2n ** 64n
    return Number(state >> 11n) / 2 ** 53
  }
  return (from, to) => from + (to - from) * next()
}

const loadOf = (draw: Draw, concurrency = Math.round(draw(10, 60))): Load => {
  const ttftMs = Math.round(draw(30, 400))
  const itlMs = Math.round(draw(5, 25))
  const outputTokens = Math.round(draw(8, 30))
  const seconds = (ttftMs + itlMs * outputTokens) / 1_000
  const rounds = Math.max(2, Math.round(2.5 / seconds))
  return { requests: concurrency * rounds, concurrency, outputTokens, pace: { ttftMs, itlMs } }
}

const spawn = (file: string, args: ReadonlyArray<string>) =>
  Effect.asVoid(ChildProcess.make(file, args, { stdin: "ignore", stdout: "ignore", stderr: "ignore" })).pipe(
    Effect.mapError(during(`Starting ${file}`))
  )

const hog = (...wrap: ReadonlyArray<string>) => {
  const [file = process.execPath, ...args] = [...wrap, process.execPath, "-e", "for (;;);"]
  return spawn(file, args)
}

const signal = (pid: number, name: "SIGSTOP" | "SIGCONT") =>
  Effect.try({ try: () => process.kill(pid, name), catch: () => null }).pipe(Effect.ignore)

/** Stops the process so often for so many milliseconds, with pauses. */
const stops = (times: number, millis: number, pauseMillis: number) => (pid: number) =>
  Effect.forEach(
    Array.from({ length: times }),
    () =>
      Effect.sleep(pauseMillis).pipe(
        Effect.andThen(signal(pid, "SIGSTOP")),
        Effect.andThen(Effect.sleep(millis)),
        Effect.andThen(signal(pid, "SIGCONT"))
      ),
    { discard: true }
  )

const importing = (variables: { readonly [name: string]: number }) =>
  Object.fromEntries(Object.entries(variables).map(([name, value]) => [name, String(Math.round(value))]))

/** One of each kind, its numbers drawn anew for every round. */
const kinds: { readonly [kind: string]: (draw: Draw) => Disturbance } = {
  quiet: (draw) => ({ what: "nothing", load: loadOf(draw) }),
  stop: (draw) => {
    const [times, millis] = [Math.round(draw(1, 4)), Math.round(draw(20, 400))]
    return {
      what: `${times} × SIGSTOP for ${millis} ms`,
      load: loadOf(draw),
      during: stops(times, millis, Math.round(draw(100, 500)))
    }
  },
  "stop in waves": (draw) => {
    const millis = Math.round(draw(50, 300))
    const load = loadOf(draw, 50)
    return {
      what: `SIGSTOP for ${millis} ms, 50 in waves`,
      load,
      // The second wave is on its way to its first tokens
      during: stops(1, millis, load.pace.ttftMs * 1.5 + load.pace.itlMs * load.outputTokens)
    }
  },
  waves: (draw) => ({ what: "200 at a time", load: loadOf(draw, 200) }),
  hogs: (draw) => {
    const count = Math.round(draw(2, 6))
    return {
      what: `${count} processes that take all cores`,
      load: loadOf(draw),
      before: Effect.forEach(Array.from({ length: count }), () => hog(), { discard: true })
    }
  },
  "hogs in bursts": (draw) => {
    const millis = Math.round(draw(200, 900))
    return {
      what: `4 processes that take all cores for ${millis} ms`,
      load: loadOf(draw),
      during: () =>
        Effect.sleep(300).pipe(
          Effect.andThen(Effect.forEach(Array.from({ length: 4 }), () => hog(), { discard: true })),
          Effect.andThen(Effect.sleep(millis)),
          Effect.scoped
        )
    }
  },
  "one core": (draw) => {
    const count = Math.round(draw(0, 2))
    return {
      what: `one core with ${count} hogs on it`,
      load: loadOf(draw),
      wrap: ["taskset", "-c", "0"],
      before: Effect.forEach(Array.from({ length: count }), () => hog("taskset", "-c", "0"), { discard: true })
    }
  },
  holds: (draw) => {
    const [hold, every] = [draw(5, 60), draw(60, 600)]
    return {
      what: `loop held for ${hold.toFixed(0)} ms every ${every.toFixed(0)}`,
      load: loadOf(draw),
      imports: importing({ DISTURB_HOLD_MS: hold, DISTURB_EVERY_MS: every })
    }
  },
  garbage: (draw) => {
    const [megabytes, every] = [draw(20, 300), draw(20, 100)]
    return {
      what: `${megabytes.toFixed(0)} MB of objects, one in 40 anew every ${every.toFixed(0)} ms`,
      load: loadOf(draw),
      imports: importing({ DISTURB_GARBAGE_MB: megabytes, DISTURB_EVERY_MS: every })
    }
  },
  disk: (draw) => ({
    what: "a program that writes to the same disk",
    load: { ...loadOf(draw), flags: ["--chunk-times"] },
    during: (_, folder) => spawn("dd", ["if=/dev/zero", `of=${folder}/filler`, "bs=4M", "count=400", "oflag=dsync"])
  })
}

const VerdictSummary = Schema.fromJsonString(
  Schema.Struct({
    run_id: Schema.String,
    verdict: Schema.NullOr(Schema.String),
    verdict_reasons: Schema.Array(
      Schema.Struct({ check: Schema.String, verdict: Schema.String, value: Schema.Finite, limit: Schema.Finite })
    ),
    results_num_completed_requests: Schema.Int,
    results_inter_chunk_latency_s_quantiles_p99: Schema.NullOr(Schema.Finite),
    health_added_ttft_s_quantiles_p99: Schema.NullOr(Schema.Finite),
    health_added_gap_s_quantiles_p99: Schema.NullOr(Schema.Finite)
  })
)

/**
 * What came of one experiment. Seconds, p99 over its requests; `added` is what was measured less what the server knows, at the same
 * requests; `sending` and `receiving`: from the client's stamp to the server's, and back.
 */
interface Outcome {
  readonly kind: string
  readonly what: string
  readonly verdict: string
  readonly reasons: ReadonlyArray<string>
  readonly requests: number
  readonly sending: number
  readonly receiving: number
  readonly trueTtft: number
  readonly added: number
  readonly admitted: number
  readonly delay: number
  readonly error: number
  readonly gapError: number
}

const gapsOf = (tokens: ReadonlyArray<number>): Array<number> =>
  tokens.slice(1).map((at, index) => at - (tokens[index] ?? at))

/** Waits until the server has had a request. */
const untilBegun = (origin: string) =>
  HttpClient.get(`${origin}/_stats`).pipe(
    Effect.flatMap((response) => response.text),
    Effect.map((text) => /"requests": *0\b/.test(text)),
    Effect.orElseSucceed(() => true),
    Effect.delay(20),
    Effect.repeat({ while: (isWaiting) => isWaiting, times: 500 })
  )

const never = SATURATION.flatMap((limit) => ["--verdict-limit", `${limit}=none`])

const experiment = Effect.fnUntraced(
  function* (kind: string, { before, imports, load, wrap = [], ...of }: Disturbance) {
    const { llmperf, root } = yield* Setup
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const server = yield* Server.startProcess({ truth: true })
    // The server's own lateness must not be taken for the client's; without the right to it, it stays as it is
    const threads = yield* fs.readDirectory(`/proc/${server.pid}/task`)
    yield* Effect.ignore(spawn("renice", ["-n", "-15", "-p", ...threads]))
    const folder = yield* fs.makeTempDirectoryScoped({ prefix: "llmperf-bench-" })
    const preload = new URL("../disturbance.mjs", import.meta.url).href
    const [file = process.execPath, ...args] = [
      ...wrap,
      process.execPath,
      ...(imports === undefined ? [] : ["--import", preload]),
      llmperf.script,
      ...Sides.loadTest(
        { ...load, inputTokens: { mean: 40, stddev: 5 }, flags: ["--quiet", ...never, ...(load.flags ?? [])] },
        folder
      )
    ]
    if (before !== undefined) yield* before
    const child = yield* ChildProcess.make(file, args, {
      cwd: root,
      stdin: "ignore",
      stderr: "ignore",
      env: { ...imports, OPENAI_API_BASE: server.origin, OPENAI_API_KEY: "none" }
    })
    const disturbing =
      of.during === undefined ? Effect.void : Effect.andThen(untilBegun(server.origin), of.during(child.pid, folder))
    const [stdout] = yield* Effect.all([Stream.mkString(Stream.decodeText(child.stdout)), child.exitCode, disturbing], {
      concurrency: "unbounded"
    })
    const summary = yield* Schema.decodeEffect(VerdictSummary)(stdout)
    const truths = new Map((yield* Server.knownTruth(server.origin, load.requests)).map((truth) => [truth.rid, truth]))
    const records = yield* Sides.readRecords(path.join(folder, "records.ndjson"))
    const known = records.flatMap(({ error_code, start_time, ttft_s, x_request_id }) => {
      const truth = truths.get(x_request_id ?? "")
      const first = truth?.tokens[0]
      if (error_code !== null || ttft_s === null || start_time === null) return []
      if (truth === undefined || first === undefined) return []
      return [
        {
          measured: ttft_s,
          actual: first - truth.recv,
          sending: truth.recv - start_time,
          receiving: start_time + ttft_s - first,
          gaps: gapsOf(truth.tokens)
        }
      ]
    })
    if (known.length < load.requests * 0.9) {
      return yield* new BenchError({ description: `${known.length} of ${load.requests} requests are known to both` })
    }
    const p99 = (values: ReadonlyArray<number>) => quantile(values, 0.99)
    const measured = p99(known.map((each) => each.measured))
    const trueTtft = p99(known.map(({ actual }) => actual))
    const trueGap = p99(known.flatMap(({ gaps }) => gaps))
    const outcome: Outcome = {
      kind,
      what: of.what,
      verdict: summary.verdict ?? "none",
      reasons: summary.verdict_reasons.map(
        ({ check, limit, value, verdict }) => `${verdict} ${check} ${value.toFixed(4)} > ${limit.toFixed(4)}`
      ),
      requests: known.length,
      sending: p99(known.map(({ sending }) => sending)),
      receiving: p99(known.map(({ receiving }) => receiving)),
      trueTtft,
      added: measured - trueTtft,
      admitted: Math.max(ADMITTED_SECONDS, ADMITTED_SHARE * measured),
      delay: summary.health_added_ttft_s_quantiles_p99 ?? 0,
      error: (measured - trueTtft) / trueTtft,
      gapError: ((summary.results_inter_chunk_latency_s_quantiles_p99 ?? trueGap) - trueGap) / trueGap
    }
    return outcome
  },
  Effect.scoped,
  Effect.catchTags({
    PlatformError: (error) => Effect.fail(during("Running an experiment")(error)),
    SchemaError: (error) => Effect.fail(during("Reading the summary of llmperf")(error))
  })
)

/** Whether INVALID is about numbers, and not about the load, which may be another than asked for at any latency. */
const isAboutNumbers = ({ reasons }: Outcome): boolean =>
  reasons.every((reason) => !reason.startsWith("INVALID") || /loop_delay|invalid_time/.test(reason))

const lineOf = (outcome: Outcome): string => {
  const ms = (seconds: number) => `${(seconds * 1e3).toFixed(1)} ms`
  return (
    `${outcome.verdict.padEnd(8)} ${outcome.kind} (${outcome.what}): TTFT p99 ${ms(outcome.trueTtft)} + ${ms(outcome.added)} ` +
    `(admitted ${ms(outcome.admitted)}, delay seen ${ms(outcome.delay)}), gap p99 ${(outcome.gapError * 100).toFixed(0)} %` +
    outcome.reasons.map((reason) => `\n         ${reason}`).join("")
  )
}

/**
 * Whether the verdict is right: experiments on a client that is held up in many ways, against a server that knows when it sent what.
 * A run that is VALID may have added to the p99 of TTFT what the verdict admits; one that is INVALID must have been wrong by more
 * than a little.
 */
export const run = Effect.gen(function* () {
  const { pairs } = yield* Setup
  const outcomes: Array<Outcome> = []
  for (let round = 1; round <= pairs; round++) {
    for (const [index, [kind, make]] of Object.entries(kinds).entries()) {
      const outcome = yield* experiment(kind, make(drawOf(round * 100 + index)))
      outcomes.push(outcome)
      yield* Console.error(`verdict: round ${round} of ${pairs}: ${lineOf(outcome)}`)
    }
  }
  const graded = (grade: string, all: ReadonlyArray<Outcome> = outcomes) =>
    all.filter(({ verdict }) => verdict === grade)
  const valid = graded("VALID")
  const isRight = ({ added, admitted }: Outcome) => added <= admitted
  const unblamed = outcomes.filter(({ reasons }) => !reasons.some((reason) => reason.includes("loop_delay_of_ttft")))
  const tooStrict = graded("INVALID").filter(
    (outcome) => isAboutNumbers(outcome) && outcome.error < SMALL_ERROR && outcome.gapError < SMALL_ERROR
  )
  const result: PartResult = {
    name: "verdict",
    settings: `${outcomes.length} experiments, ${Object.keys(kinds).length} kinds of disturbances, 2 to 4 s each`,
    rows: [
      Row.absolute("experiments", "", [outcomes.length]),
      Row.absolute(
        "VALID, and no more added to TTFT p99 than admitted",
        "%",
        [valid.length === 0 ? 0 : (valid.filter(isRight).length / valid.length) * 100],
        { atLeast: 97 }
      ),
      Row.absolute("no delay held against TTFT, and no more added than admitted", "%", [
        unblamed.length === 0 ? 0 : (unblamed.filter(isRight).length / unblamed.length) * 100
      ]),
      Row.absolute("INVALID with an error below 5 %", "", [tooStrict.length], { atMost: 0 }),
      ...Object.keys(kinds).flatMap((kind) => {
        const all = outcomes.filter((outcome) => outcome.kind === kind)
        const of = (grade: string) => graded(grade, all).map(({ added }) => added * 1e3)
        return ["VALID", "DEGRADED", "INVALID"].flatMap((grade) => {
          const added = of(grade)
          return added.length === 0 ? [] : [Row.absolute(`${kind}: ${added.length} × ${grade}, added`, "ms", added)]
        })
      })
    ],
    runs: outcomes
  }
  return result
})
