import * as AgentAddress from "../../fleet/AgentAddress.ts"
import * as ClusterAddress from "../../fleet/ClusterAddress.ts"
import { tlsFlags } from "./fleetFlags.ts"
import * as Setting from "./setting.ts"

const address: Setting.Reader<AgentAddress.AgentAddress> = {
  read: AgentAddress.parse,
  expected:
    "an address of this machine, such as 127.0.0.1:7070, [::1]:7070 or 0.0.0.0:7070; port 0 takes any that is free",
  metavar: "host:port"
}

const here: AgentAddress.AgentAddress = { host: "127.0.0.1", port: AgentAddress.DEFAULT_PORT }

/** The flags of `llmperf agent`. */
export const agentFlags = {
  listen: Setting.withDefault("listen", address, here, "Where to wait for coordinators", AgentAddress.format(here)),
  tokenFile: Setting.required(
    "token-file",
    Setting.text("file"),
    "File with the token that every coordinator must know: one word of 16 characters or more"
  ),
  ...tlsFlags("this agent", "a coordinator"),
  insecureListen: Setting.toggle(
    "insecure-listen",
    false,
    "Listen for other machines without TLS: everybody on the way can read the token and all prompts"
  ),
  cluster: Setting.optional(
    "cluster",
    Setting.text("url"),
    `Where coordinators look for agents, so that nobody has to name this one: ${ClusterAddress.EXPECTED}`
  ),
  advertise: Setting.optional(
    "advertise",
    address,
    "With --cluster: where coordinators reach this agent, if it is not where it listens; of a pod, its own address"
  ),
  dataDir: Setting.optional(
    "data-dir",
    Setting.text("folder"),
    "Where to keep the rows of a run until they are collected; by default a temporary folder, removed at the end"
  )
}
