/** An agent in a process of its own that can be found. Its argument, in JSON, is `Settings`; it writes its name when it is there. */
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { appendFileSync } from "node:fs"
import * as LoadAgentHandlers from "../../src/engine/LoadAgentHandlers.ts"
import { PROTOCOL } from "../../src/engine/LoadAgent.ts"
import * as AgentAddress from "../../src/fleet/AgentAddress.ts"
import * as ClusterAddress from "../../src/fleet/ClusterAddress.ts"
import * as ClusterAgent from "../../src/fleet/ClusterAgent.ts"
import { Provider } from "../../src/provider/Provider.ts"
import * as Transport from "../../src/provider/Transport.ts"
import { layerInline } from "../../src/workload/TokenCounter.ts"
import * as Tokenizer from "../../src/workload/Tokenizer.ts"

/**
 * - `log`: the file to which it adds a line for each request it sends: its process and the request
 * - `folder`: where it keeps rows
 * - `answerMillis`: how long each request takes
 */
export const Settings = Schema.Struct({
  cluster: Schema.String,
  listen: Schema.String,
  advertise: Schema.NullOr(Schema.String),
  token: Schema.String,
  version: Schema.String,
  credentials: Schema.NullOr(Schema.Struct({ certificate: Schema.String, key: Schema.String, ca: Schema.String })),
  log: Schema.String,
  folder: Schema.String,
  answerMillis: Schema.Finite
})

const program = Effect.gen(function* () {
  const settings = yield* Schema.decodeUnknownEffect(Schema.fromJsonString(Settings))(process.argv[2])
  const { credentials, log, version } = settings
  const provider = Provider.of({
    name: "recording",
    origin: null,
    stream: (plan) =>
      Stream.suspend(() => {
        appendFileSync(log, `${process.pid} ${plan.id}\n`)
        const at = () => Number(process.hrtime.bigint())
        const word = Effect.sync(() => ({ _tag: "Content", kind: "text", at: [at()], text: ["word"] }) as const)
        return Stream.make({ _tag: "Sent", at: at(), connection: null } as const).pipe(
          Stream.concat(Stream.fromEffect(Effect.delay(word, settings.answerMillis))),
          Stream.concat(Stream.suspend(() => Stream.make({ _tag: "Ended", at: at() } as const)))
        )
      })
  })
  const agent = LoadAgentHandlers.layer({
    services: () =>
      Layer.mergeAll(
        Layer.succeed(Provider, provider),
        Layer.provideMerge(layerInline, Tokenizer.layerLlama),
        Transport.layer({})
      ),
    about: Effect.succeed({
      protocol: PROTOCOL,
      version,
      host: "test",
      pid: process.pid,
      cores: 1,
      memoryBytes: 1e9,
      load: 0,
      openFiles: null,
      limits: null
    }),
    folder: settings.folder
  })
  // As long as the process, and not only until it serves
  const handlers = yield* Layer.build(agent)
  const addressOf = (text: string) => Effect.fromOption(AgentAddress.parse(text))
  const name = yield* ClusterAgent.make({
    cluster: Result.getOrThrow(ClusterAddress.parse(settings.cluster)),
    address: yield* addressOf(settings.listen),
    advertise: settings.advertise === null ? null : yield* addressOf(settings.advertise),
    token: Redacted.make(settings.token),
    credentials: credentials === null ? null : { ...credentials, key: Redacted.make(credentials.key) },
    onNotice: Console.error
  }).pipe(Effect.provideContext(handlers))
  yield* Effect.sync(() => process.stdout.write(`${AgentAddress.format(name)}\n`))
  return yield* Effect.never
}).pipe(Effect.scoped)

NodeRuntime.runMain(Effect.provide(program, NodeServices.layer))
