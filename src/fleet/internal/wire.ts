import * as RpcSerialization from "effect/rpc/RpcSerialization"

/**
 * Most bytes of a message. A lease holds the prompts of thousands of requests; whoever has no token can make an agent keep as
 * much, which is why there is a limit.
 */
export const MOST_BYTES = 256 * 1024 * 1024

/** How messages are written, the same for agents and coordinators. */
export const layerSerialization = RpcSerialization.layerSchemaBinary({ maxFrameSize: MOST_BYTES })

/** For both ends of a connection: a message is on its way at once, and a machine that has gone away is noticed in the end. */
export const tcp = { noDelay: true, keepAlive: true, keepAliveInitialDelay: 10_000 } as const
