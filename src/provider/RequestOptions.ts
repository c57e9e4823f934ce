/**
 * What every API is told alike.
 *
 * @since 0.2.0
 */
import { type RequestPlan } from "../domain/RequestPlan.ts"

/**
 * - `model`: the model to ask for, in the API's own words
 * - `samplingParams`: put into the body over everything else; a `null` removes a field
 * - `headers`: sent with every request, over our own
 * - `requestId`: the name of the header that carries `of(plan)`; `null` to send none
 *
 * @category models
 * @since 0.2.0
 */
export interface RequestOptions {
  readonly model: string
  readonly samplingParams?: { readonly [name: string]: unknown } | undefined
  readonly headers?: { readonly [name: string]: string } | undefined
  readonly requestId?: { readonly header: string; readonly of: (plan: RequestPlan) => string } | null | undefined
}
