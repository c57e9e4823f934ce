/** What deploy/compose.yaml needs that is not there yet. When it is, this file and its use go. */
import { textOf } from "./repository.ts"

/** `llmperf serve --host 0.0.0.0 --insecure-listen` */
export const canRunCompose = textOf("src/cli/handlers/serve.ts").includes("insecureListen")
