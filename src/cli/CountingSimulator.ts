/**
 * A simulated server on a thread of its own that counts prompts as the run does.
 *
 * @since 0.2.0
 */
import type { ThreadScript } from "../simulator/SimulatorThread.ts"

// The script lies beside this module, as .ts in development and as .js once bundled.
const script = (): URL => {
  const extension = import.meta.url.slice(import.meta.url.lastIndexOf("."))
  return new URL(`./CountingSimulatorWorker${extension}`, import.meta.url)
}

/**
 * The thread, for `SimulatorThread.start`. `tokenizer`: the name of one, see `Tokenizer.layer`.
 *
 * @category constructors
 * @since 0.2.0
 */
export const thread = (tokenizer: string): ThreadScript => ({ script: script(), data: { tokenizer } })
