import * as RpcSerialization from "effect/rpc/RpcSerialization"

/** Most bytes of a message to an agent: a lease holds the prompts of thousands of requests. See `admission.ts` for strangers. */
const MOST_BYTES = 256 * 1024 * 1024

/** The same of a message to a coordinator: an account of a million requests with its summary, or half a MiB of rows. */
const MOST_BYTES_BACK = 64 * 1024 * 1024

/** How messages are written, the same for agents and coordinators; what an agent reads. */
export const layerSerialization = RpcSerialization.layerSchemaBinary({ maxFrameSize: MOST_BYTES })

/** What a coordinator reads. */
export const layerClientSerialization = RpcSerialization.layerSchemaBinary({ maxFrameSize: MOST_BYTES_BACK })

/** For both ends of a connection: a message is on its way at once, and a machine that has gone away is noticed in the end. */
export const tcp = { noDelay: true, keepAlive: true, keepAliveInitialDelay: 10_000 } as const
