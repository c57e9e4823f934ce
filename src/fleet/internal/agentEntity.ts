import * as ClusterSchema from "effect/cluster/ClusterSchema"
import * as Entity from "effect/cluster/Entity"
import * as Runner from "effect/cluster/Runner"
import * as RunnerAddress from "effect/cluster/RunnerAddress"
import * as ShardingConfig from "effect/cluster/ShardingConfig"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as AgentAddress from "../AgentAddress.ts"
import { SecuredRpcs } from "../AgentToken.ts"

/**
 * An agent as an entity of Effect Cluster. It is called by the name of its runner, which is also its group of shards: so it is where
 * its runner is, and nowhere else. Entities that are spread by hashing would share some runners and leave others without.
 *
 * What is under way when a runner is told to end is interrupted, and not waited for.
 */
export const LoadAgent = Entity.fromRpcGroup(
  "llmperf/LoadAgent",
  SecuredRpcs.annotateRpcs(ClusterSchema.InterruptOnTermination, true)
    .annotate(ClusterSchema.ShardGroup, (entityId) => entityId)
    .annotate(ClusterSchema.ClientTracingEnabled, false)
)

export const toRunnerAddress = ({ host, port }: AgentAddress.AgentAddress): RunnerAddress.RunnerAddress =>
  RunnerAddress.make(host, port)

/** `default`, because Effect Cluster has a task of its own that lives in that group. */
const groupsOf = (address: AgentAddress.AgentAddress): Array<string> => ["default", AgentAddress.format(address)]

export const toRunner = (address: AgentAddress.AgentAddress): Runner.Runner =>
  Runner.make({ address: toRunnerAddress(address), groups: groupsOf(address), weight: 1 })

/**
 * The same for both sides, but for who they are: `address` is that of an agent, `null` for a coordinator, which is no runner. All of
 * it is said here, because otherwise Effect Cluster looks into the environment.
 */
export const layerConfig = (address: AgentAddress.AgentAddress | null): Layer.Layer<ShardingConfig.ShardingConfig> => {
  const groups = address === null ? ["default"] : groupsOf(address)
  return ShardingConfig.layer({
    runnerAddress: address === null ? Option.none() : Option.some(toRunnerAddress(address)),
    runnerListenAddress: Option.none(),
    availableShardGroups: groups,
    assignedShardGroups: groups,
    // One agent, one shard: both sides must count the same
    shardsPerGroup: 1,
    // When an agent has just begun, the first call may come before it has taken its shard
    sendRetryInterval: 100,
    entityTerminationTimeout: 2_000,
    simulateRemoteSerialization: false
  })
}
