/**
 * The Azure LLM inference traces of 2023 and 2024 (`AzureLLMInferenceTrace_….csv` of Azure/AzurePublicDataset, CC-BY):
 * `TIMESTAMP,ContextTokens,GeneratedTokens` with times such as `2023-11-16 18:17:03.9799600`. All seven decimals count: in
 * the trace of 2023 more than a third of the gaps are below 10 ms.
 *
 * @since 0.2.0
 */
import * as Cells from "../internal/scheduleCells.ts"
import type { Format } from "./Format.ts"

/**
 * @category constructors
 * @since 0.2.0
 */
export const make = (): Format => ({
  name: "azure-llm",
  title: "Azure LLM inference trace",
  timeColumn: "TIMESTAMP",
  time: Cells.date(),
  inputColumn: "ContextTokens",
  outputColumn: "GeneratedTokens",
  tokens: Cells.looseCount,
  mark: [],
  sessions: null,
  blocks: null,
  skipZero: "requests without input or output tokens"
})
