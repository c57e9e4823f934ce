import { type Fields } from "../../domain/Fields.ts"

/** A result by its name in LLMPerf's format: those of a replay have no prefix. */
export const resultOf = (summary: Fields, name: string): number | null => {
  const value = summary[`results_${name}`] ?? summary[name]
  return typeof value === "number" && Number.isFinite(value) ? value : null
}
