import type { Fields } from "../../domain/Fields.ts"

/** A number of the results by its key in the summary, without the prefix; `null` where there is none. */
export type Numbers = (key: string) => number | null

const PREFIX = "results_"

/** The results stand with a prefix, or without one in the folder of a schedule. */
export const resultsOf = (summary: Fields): ((key: string) => unknown) => {
  const prefix = Object.keys(summary).some((key) => key.startsWith(PREFIX)) ? PREFIX : ""
  return (key) => summary[prefix + key]
}

/** LLMPerf writes some numbers as texts. */
export const numbersOf =
  (result: (key: string) => unknown): Numbers =>
  (key) => {
    const value = result(key)
    const number = typeof value === "string" && value.trim() !== "" ? Number(value) : value
    return typeof number === "number" && Number.isFinite(number) ? number : null
  }
