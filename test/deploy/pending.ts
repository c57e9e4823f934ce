/** What the files in deploy/ need that is not there yet. When all of it is true, this file and its uses go. */
import { existsSync } from "node:fs"
import { join } from "node:path"
import { root, textOf } from "./repository.ts"

const has = (path: string, text: string): boolean => existsSync(join(root, path)) && textOf(path).includes(text)

/** `llmperf serve --host 0.0.0.0 --insecure-listen` */
const servesBeyondLoopback = has("src/cli/handlers/serve.ts", "insecureListen")

/** `llmperf agent --cluster … --advertise …`, and a coordinator that finds it. */
const agentsAreFound =
  has("src/cli/internal/agentFlags.ts", "advertise") &&
  has("src/cli/Cli.ts", "agent") &&
  has("src/cli/flags.ts", "fleetFlags")

/** `k8s://…?tls-name=…` */
export const podsHaveNames = has("src/fleet/ClusterAddress.ts", "tls-name")

export const canRunCompose = servesBeyondLoopback && agentsAreFound

export const canRunPods = podsHaveNames && agentsAreFound
