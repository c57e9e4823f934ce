/**
 * How arrivals lie in time, at a steady rate:
 *
 * - `constant`: one every 1/rate seconds, the first at 0
 * - `poisson`: independent of each other. Gaps are exponential, coefficient of variation (CV) 1
 * - `gamma`: independent gaps with a gamma law of shape `burstiness`, above 0, CV 1/√burstiness: below 1 burstier than
 *   Poisson, above 1 more regular, 1 the same. vLLM's `--burstiness` means the same
 * - `burst`: `size` requests at one moment, every size/rate seconds, the first at 0; the CV of the gaps is √(size − 1)
 *
 * `poisson` and `gamma` are stationary from time 0 on: the test does not begin with an arrival, it looks in on traffic
 * that has always been going on.
 *
 * @category models
 * @since 0.2.0
 */
export type Process =
  | { readonly kind: "constant" }
  | { readonly kind: "poisson" }
  | { readonly kind: "gamma"; readonly burstiness: number }
  | { readonly kind: "burst"; readonly size: number }

/**
 * `seconds` during which the rate goes from `from` to `to` in a straight line, in requests per second. Both 0 is a
 * pause.
 *
 * @category models
 * @since 0.2.0
 */
export interface Segment {
  readonly from: number
  readonly to: number
  readonly seconds: number
}

/**
 * The rate over time: segments one after the other, then `afterwards` for good, in requests per second. With 0 nothing
 * comes after the segments; with `Infinity` everything that is left is due at once.
 *
 * @category models
 * @since 0.2.0
 */
export interface RateProfile {
  readonly segments: ReadonlyArray<Segment>
  readonly afterwards: number
}
