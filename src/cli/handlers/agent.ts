import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Path from "effect/Path"
import { type Command } from "effect/cli"
import packageJson from "../../../package.json" with { type: "json" }
import * as Health from "../../engine/Health.ts"
import * as LoadAgentHandlers from "../../engine/LoadAgentHandlers.ts"
import * as AgentAddress from "../../fleet/AgentAddress.ts"
import * as AgentServer from "../../fleet/AgentServer.ts"
import * as AgentToken from "../../fleet/AgentToken.ts"
import * as Profile from "../../fleet/Profile.ts"
import { CommandError, usage } from "../CommandError.ts"
import { ExitCode } from "../ExitCode.ts"
import { Interruption } from "../Interruption.ts"
import { type agentFlags } from "../internal/agentFlags.ts"
import { services } from "../internal/agentServices.ts"
import { clusterOf, credentialsOf } from "../internal/fleetAccess.ts"
import { settleHeap } from "../internal/heap.ts"

type Input = Command.Command.Config.Infer<typeof agentFlags>

/** The folder for rows, there and writable. */
const folderOf = Effect.fnUntraced(function* (input: Input) {
  const fs = yield* FileSystem.FileSystem
  const given = Option.getOrUndefined(input.dataDir)
  const made =
    given === undefined
      ? fs.makeTempDirectoryScoped({ prefix: "llmperf-agent-" })
      : fs
          .makeDirectory(given, { recursive: true })
          .pipe(Effect.andThen(fs.access(given, { writable: true })), Effect.as(given))
  return yield* Effect.mapError(
    made,
    ({ message }) =>
      new CommandError({
        description: `--data-dir ${given ?? "(a temporary folder)"}: rows cannot be kept there: ${message}. Choose another folder`,
        exitCode: ExitCode.output
      })
  )
})

const told = ({ _tag, runId, session }: LoadAgentHandlers.SessionEvent): string =>
  _tag === "Begun" ? `Session ${session} of run ${runId} has begun` : `Session ${session} of run ${runId} has ended`

const handlers = Effect.fnUntraced(function* (folder: string) {
  const context = yield* Effect.context<FileSystem.FileSystem | Path.Path>()
  return LoadAgentHandlers.layer({
    services,
    watch: Health.make(),
    about: Effect.provideContext(Profile.make(packageJson.version), context),
    folder,
    onSession: (event) => Console.error(told(event))
  })
})

/** Waits for coordinators: those who know its address, or those who look into the cluster. Gives where they reach it. */
const serve = Effect.fnUntraced(function* ({ advertise, cluster }: Input, options: AgentServer.Options) {
  if (Option.isNone(cluster)) {
    if (Option.isSome(advertise)) return yield* usage("--advertise: only with --cluster")
    return yield* AgentServer.make(options)
  }
  const place = yield* clusterOf(cluster.value)
  const { make } = yield* Effect.promise(() => import("../../fleet/ClusterAgent.ts"))
  return yield* make({
    ...options,
    cluster: place,
    advertise: Option.getOrNull(advertise),
    onNotice: (notice) => Console.error(notice)
  })
})

/** Works for one coordinator after the other until a signal comes; a test that is running then is stopped. */
export const handle = Effect.fn("agent")(
  function* (input: Input) {
    const credentials = yield* credentialsOf(input)
    if (credentials !== null && input.insecureListen) {
      return yield* usage("--insecure-listen has no meaning with --tls-cert: TLS is secure")
    }
    const token = yield* AgentToken.read(input.tokenFile)
    const folder = yield* folderOf(input)
    yield* settleHeap
    const agent = yield* Layer.build(yield* handlers(folder))
    const options = { address: input.listen, token, credentials, insecure: input.insecureListen }
    const address = yield* Effect.provideContext(serve(input, options), agent)
    const { cores } = yield* Profile.make(packageJson.version)
    if (credentials === null && input.insecureListen && !AgentAddress.isLoopback(address)) {
      yield* Console.error(
        "WARNING: --insecure-listen: no TLS. Whoever is between here and a coordinator can read the token and all prompts."
      )
    }
    yield* Console.log(
      `llmperf agent ${packageJson.version} listens at ${AgentAddress.format(address)} (${cores} cores, ${credentials === null ? "no TLS" : "TLS"})`
    )
    yield* yield* Interruption
    yield* Console.error("Stopping")
  },
  Effect.scoped,
  Effect.catchTags({
    AgentFailed: (error) => Effect.fail(usage(error.message)),
    TokenError: (error) => Effect.fail(usage(error.message)),
    ListenError: (error) => Effect.fail(usage(error.message))
  })
)
