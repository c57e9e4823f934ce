/**
 * The script of the threads that `Workers.start` starts: an agent that sends a share of a load test. Not for import.
 *
 * @since 0.2.0
 */
import { workerData } from "node:worker_threads"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as NodeWorkerRunner from "@effect/platform-node/NodeWorkerRunner"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { Command } from "effect/cli"
import * as RpcServer from "effect/rpc/RpcServer"
import { LoadAgentRpcs } from "../engine/LoadAgent.ts"
import * as Health from "../engine/Health.ts"
import * as LoadAgentHandlers from "../engine/LoadAgentHandlers.ts"
import * as Pacer from "../engine/Pacer.ts"
import * as TokenCounter from "../workload/TokenCounter.ts"
import * as flags from "./flags.ts"
import { settleHeap } from "./internal/heap.ts"
import * as Providers from "./internal/providers.ts"
import * as Surroundings from "./internal/surroundings.ts"
import { WorkerData } from "./Workers.ts"

type Input = Command.Command.Config.Infer<typeof flags.loadTest>

/** The main thread has said all there is to say about the flags. */
const silent: Console.Console = { ...globalThis.console, error: () => {} }

/** What requests are sent with. */
const services = (input: Input, { runId, simulator }: WorkerData) =>
  Layer.unwrap(
    Effect.map(Effect.provideService(Surroundings.networkOf(input), Console.Console, silent), (network) =>
      Layer.merge(
        TokenCounter.layerWorker({ tokenizer: Surroundings.tokenizerOf(input) }),
        Surroundings.asking({
          provider: Providers.layer(input, Surroundings.configOf(input, runId), simulator),
          network,
          idleSeconds: input.idleTimeout
        })
      )
    )
  )

const serve = (input: Input, data: WorkerData) =>
  RpcServer.layer(LoadAgentRpcs, { disableTracing: true, disableFatalDefects: true }).pipe(
    // Not together with others: it ends the fiber that builds it when the thread is to close
    Layer.provide(RpcServer.layerProtocolWorkerRunner),
    Layer.provide(LoadAgentHandlers.layer({ services: services(input, data), watch: Health.make() })),
    Layer.provide([NodeWorkerRunner.layer, data.isOpen ? Pacer.layerThread : Layer.empty]),
    Layer.launch
  )

const program = Effect.gen(function* () {
  const data = yield* Schema.decodeUnknownEffect(WorkerData)(workerData)
  yield* settleHeap
  const loadTest = Command.make("load-test", flags.loadTest, (input) => serve(input, data))
  const root = Command.make("llmperf").pipe(Command.withSubcommands([loadTest]))
  yield* Command.runWith(root, { version: "" })(data.args)
})

NodeRuntime.runMain(Effect.provide(program, NodeServices.layer))
