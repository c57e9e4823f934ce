import * as AgentAddress from "../../fleet/AgentAddress.ts"
import * as ClusterAddress from "../../fleet/ClusterAddress.ts"
import * as Setting from "./setting.ts"

const addresses: Setting.Reader<ReadonlyArray<AgentAddress.AgentAddress>> = {
  read: AgentAddress.parseList,
  expected: `addresses of agents with commas between them, such as 10.0.0.7:${AgentAddress.DEFAULT_PORT},[::1]:7071,node-3`,
  metavar: "host:port,…"
}

/** Certificates, for agents and for those who call them; `ours` and `theirs` say whose they are. */
export const tlsFlags = (ours: string, theirs: string) => ({
  tlsCert: Setting.optional(
    "tls-cert",
    Setting.text("file"),
    `Certificate of ${ours} (PEM), for TLS; goes with --tls-key and --tls-ca`
  ),
  tlsKey: Setting.optional("tls-key", Setting.text("file"), "Its private key (PEM, without a password)"),
  tlsCa: Setting.optional(
    "tls-ca",
    Setting.text("file"),
    `Certificates of the CA (PEM) that must have signed the certificate of ${theirs}`
  )
})

/** Which agents there are, and how they are called. */
export const fleetFlags = {
  agents: Setting.optional("agents", addresses, "Agents on other machines; see llmperf agent"),
  cluster: Setting.optional(
    "cluster",
    Setting.text("url"),
    `Where agents can be found, instead of naming them: ${ClusterAddress.EXPECTED}; see llmperf agent --cluster`
  ),
  expectAgents: Setting.optional(
    "expect-agents",
    Setting.positiveInt("agents", 10_000),
    "How many agents there must be in the --cluster before anything is sent"
  ),
  tokenFile: Setting.optional("token-file", Setting.text("file"), "File with the token of the agents"),
  ...tlsFlags("this machine", "an agent")
}

/** The flags of `llmperf fleet status`. */
export const fleetStatusFlags = {
  ...fleetFlags,
  json: Setting.toggle("json", false, "Print one JSON document instead of a table")
}
