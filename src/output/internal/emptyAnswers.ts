import * as Text from "./text.ts"

/** Some models end at once now and then; above this share of the answers something is wrong. */
const NOTABLE_SHARE = 0.01

/** That many answers had no content; `null` when few had none. */
export const remark = (empty: number, completed: number): string | null =>
  completed === 0 || empty / completed <= NOTABLE_SHARE
    ? null
    : `${empty} of ${completed} answers (${Text.percent(empty / completed)}) had no content: they have no TTFT and no ` +
      "inter-token latency. llmperf probe with the same flags shows such an answer as it came."
