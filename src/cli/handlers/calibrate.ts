import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { type CliError, CliOutput, Command } from "effect/cli"
import * as Calibration from "../../engine/Calibration.ts"
import * as CalibrationConsole from "../../output/CalibrationConsole.ts"
import * as Screen from "../../output/Screen.ts"
import * as Transport from "../../provider/Transport.ts"
import * as NullServer from "../../simulator/NullServer.ts"
import * as TokenCounter from "../../workload/TokenCounter.ts"
import * as Tokenizer from "../../workload/Tokenizer.ts"
import packageJson from "../../../package.json" with { type: "json" }
import { CommandError, usage } from "../CommandError.ts"
import { Ended, ExitCode } from "../ExitCode.ts"
import { type calibrateFlags, likeFlags } from "../internal/calibrationFlags.ts"
import * as CalibrationRun from "../internal/calibrationRun.ts"
import { flagsIn } from "../internal/calibrationWords.ts"
import * as ConfigFile from "../internal/configFile.ts"
import { settleHeap } from "../internal/heap.ts"
import { countTokensOf, type Load, resolve } from "../internal/load.ts"
import { newRunId } from "../internal/newRunId.ts"
import { FIXED_SEED } from "../internal/seed.ts"
import * as Surroundings from "../internal/surroundings.ts"

type Input = Command.Command.Config.Infer<typeof calibrateFlags>
type LikeInput = Command.Command.Config.Infer<typeof likeFlags>

const toldOf = (error: CliError.CliError): string =>
  error._tag === "ShowHelp" ? error.errors.map(({ message }) => message).join("; ") : error.message

/** Its help and its errors are told in our own words. */
const silent = CliOutput.layerPresenter({ present: () => Effect.void })

/** The flags in a text, read as those of a load test. */
const readLike = Effect.fnUntraced(function* (text: string) {
  const flags = flagsIn(text)
  if (flags === null) return yield* usage(`--like: a quote is not closed in ${text}`)
  let seen: LikeInput | undefined
  const command = Command.make("load-test", likeFlags, (input) =>
    Effect.sync(() => {
      seen = input
    })
  )
  const root = Command.make("llmperf").pipe(Command.withSubcommands([command]))
  const { args } = yield* ConfigFile.expand(["load-test", ...flags])
  yield* Command.runWith(root, { version: packageJson.version, renderErrors: false })(args).pipe(
    Effect.provide(silent),
    Effect.mapError((error) => usage(`--like: ${toldOf(error)}`))
  )
  return seen ?? (yield* usage(`--like must hold flags of a load test: ${text}`))
})

const measureAll = Effect.fnUntraced(function* (
  input: Input,
  load: Load,
  runId: string,
  tokenizer: string | undefined
) {
  const onStep = (what: string) => (input.quiet ? Effect.void : Console.error(`Measuring: ${what}`))
  const server = yield* NullServer.start()
  const pace = { ttftSeconds: input.ttft, itlSeconds: input.itl }
  const seconds = input.limits ? input.seconds / 2 : input.seconds
  yield* onStep(load._tag === "Closed" ? `${load.config.numConcurrentRequests} in flight` : load.shape)
  const measured = yield* CalibrationRun.measure(load, tokenizer, { server, pace, seconds })
  const limits = input.limits ? yield* Calibration.measureLimits({ server, seconds, runId, onStep }) : null
  return { load: measured, limits }
}, Effect.scoped)

/** Measures, shows it, and keeps it. */
export const handle = Effect.fn("calibrate")(
  function* (input: Input) {
    yield* settleHeap
    const runId = yield* newRunId
    const { quiet } = input
    const like = Option.isSome(input.like) ? yield* readLike(input.like.value) : { ...input, config: Option.none() }
    const tokenizer = Surroundings.tokenizerOf(like)
    const layer = Layer.mergeAll(
      Tokenizer.layer(tokenizer),
      TokenCounter.layerWorker({ tokenizer }),
      Transport.layer({ idleSeconds: like.idleTimeout })
    )
    const { limits, load } = yield* Effect.gen(function* () {
      const config = {
        ...Surroundings.configOf(like, { runId, seed: FIXED_SEED }),
        promptMode: like.promptMode,
        countTokens: countTokensOf(like)
      }
      const load = yield* resolve({ ...like, quiet }, config)
      return yield* measureAll(input, load, runId, tokenizer)
    }).pipe(Effect.provide(layer))

    const known = yield* CalibrationRun.known
    const kept = yield* CalibrationRun.keep(known, load, limits)
    for (const remark of [known.remark, kept.remark]) if (remark !== null) yield* Console.error(remark)
    const report = { machine: known.machine, load, limits, file: kept.file }
    if (input.json) yield* Console.log(CalibrationConsole.toJson(report))
    if (!quiet) {
      const text = CalibrationConsole.render(report, yield* Screen.detect(input.json ? "stderr" : "stdout")).trimEnd()
      yield* input.json ? Console.error(text) : Console.log(text)
    }
    if (load.added.ttft_s.count === 0) return yield* new Ended({ exitCode: ExitCode.failed })
  },
  Effect.catchTags({
    LlmError: (error) => Effect.fail(usage(error.message)),
    PromptError: (error) => Effect.fail(usage(error.message)),
    TokenizerError: (error) => Effect.fail(usage(error.message)),
    NullServerError: (error) =>
      Effect.fail(new CommandError({ description: error.message, exitCode: ExitCode.failed })),
    RecordsError: (error) => Effect.fail(new CommandError({ description: error.message, exitCode: ExitCode.output }))
  })
)
