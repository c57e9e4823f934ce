/** Why servers say that they cut an answer short, or that the model declined: OpenAI's, Anthropic's, Google's and Bedrock's words for it. */
const stopped = /refus|filter|safety|guardrail|blocklist|prohibited|recitation|spii/i

/** How many answers a filter or a refusal ended, by reason, the most frequent first. */
export const cutShort = (frequency: { readonly [reason: string]: unknown }): ReadonlyArray<readonly [string, number]> =>
  Object.entries(frequency)
    .flatMap(([reason, count]) => (stopped.test(reason) && typeof count === "number" ? [[reason, count] as const] : []))
    .toSorted(([, a], [, b]) => b - a)
