/**
 * The script of the threads that `Workers.layer` starts: an agent that sends a share of a load test. Not for import.
 *
 * @since 0.2.0
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as NodeWorkerRunner from "@effect/platform-node/NodeWorkerRunner"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as RpcServer from "effect/rpc/RpcServer"
import { LoadAgentRpcs } from "../engine/LoadAgent.ts"
import * as Health from "../engine/Health.ts"
import * as LoadAgentHandlers from "../engine/LoadAgentHandlers.ts"
import { services } from "./internal/agentServices.ts"
import { settleHeap } from "./internal/heap.ts"

const serve = RpcServer.layer(LoadAgentRpcs, { disableTracing: true, disableFatalDefects: true }).pipe(
  // Not together with others: it ends the fiber that builds it when the thread is to close
  Layer.provide(RpcServer.layerProtocolWorkerRunner),
  Layer.provide(LoadAgentHandlers.layer({ services, watch: Health.make() })),
  Layer.provide(NodeWorkerRunner.layer),
  Layer.launch
)

NodeRuntime.runMain(Effect.provide(Effect.andThen(settleHeap, serve), NodeServices.layer))
