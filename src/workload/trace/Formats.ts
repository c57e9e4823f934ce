/**
 * All formats of files of requests that are understood, and how a file is recognised.
 *
 * @since 0.2.0
 */
import * as AzureLlm from "./AzureLlm.ts"
import * as AzureMultimodal from "./AzureMultimodal.ts"
import * as Bailian from "./Bailian.ts"
import * as BurstGpt from "./BurstGpt.ts"
import type { Format } from "./Format.ts"
import * as Llmperf from "./Llmperf.ts"
import * as Mooncake from "./Mooncake.ts"

/**
 * One maker per format. A format that has all columns of another and more comes before it.
 *
 * @category constants
 * @since 0.2.0
 */
export const makers: ReadonlyArray<(columns: ReadonlyArray<string>) => Format> = [
  Llmperf.make,
  AzureMultimodal.make,
  AzureLlm.make,
  Bailian.make,
  Mooncake.make,
  BurstGpt.make
]

/**
 * The columns that every file of the format has.
 *
 * @category getters
 * @since 0.2.0
 */
export const neededColumns = (format: Format): ReadonlyArray<string> => [
  format.timeColumn,
  format.inputColumn,
  format.outputColumn
]

/**
 * What a file with these columns (or keys) is. When it is none of the known formats: the one of which it has the most
 * columns, of equals the first, so LLMPerf's when it has none of any; what is missing there is then the error.
 *
 * @category getters
 * @since 0.2.0
 */
export const recognise = (columns: ReadonlyArray<string>): Format => {
  const formats = makers.map((make) => make(columns))
  const has = (name: string) => columns.includes(name)
  const found = formats.find(
    (format) => neededColumns(format).every(has) && (format.mark.length === 0 || format.mark.some(has))
  )
  if (found !== undefined) return found
  const score = (format: Format) => neededColumns(format).filter(has).length
  return formats.reduce((best, format) => (score(format) > score(best) ? format : best))
}
