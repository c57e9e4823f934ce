import type { Summary } from "../../domain/Summary.ts"

/** How many answers have no known tokens, and of how many. */
export type Uncounted = Pick<Summary, "num_completed_requests" | "num_uncounted_requests" | "token_source">

/** Why sums of tokens are unknown: `7 of 20 answers had no usage`; `null` when every answer is counted. */
export const uncountedAnswers = (of: Uncounted): string | null =>
  of.num_uncounted_requests === 0
    ? null
    : `${of.num_uncounted_requests} of ${of.num_completed_requests} answers ${
        of.token_source === "server" ? "had no usage" : "could not be counted"
      }`

/** Tokens of the first chunk that are not known are worth a word from this share of an answer on: its time per token may be low by as much. */
export const NOTABLE_FIRST_SHARE = 0.01
