/**
 * The Azure multimodal trace of 2025 (`AzureLMMInferenceTrace_multimodal.csv.gz` of Azure/AzurePublicDataset):
 * `TIMESTAMP,NumImages,ContextTokens,GeneratedTokens`. Images are not replayed; `ContextTokens` stands for the whole prompt.
 *
 * @since 0.2.0
 */
import * as AzureLlm from "./AzureLlm.ts"
import type { Format } from "./Format.ts"

/**
 * @category constructors
 * @since 0.2.0
 */
export const make = (): Format => ({
  ...AzureLlm.make(),
  name: "azure-multimodal",
  title: "Azure multimodal inference trace",
  mark: ["NumImages"]
})
