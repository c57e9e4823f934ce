/**
 * Random numbers of the usual laws, made from uniform ones.
 *
 * A sampler keeps nothing between calls and takes as many uniform numbers as it needs, so the source alone decides what
 * comes out. `Math.pow` is not used: V8 may take it from the C library, where the last digit differs between systems.
 *
 * @since 0.2.0
 */

/**
 * A source that draws from [0, 1).
 *
 * @category models
 * @since 0.2.0
 */
export type Uniform = () => number

/**
 * Exponential with mean 1, by inversion: one draw.
 *
 * @category sampling
 * @since 0.2.0
 */
export const exponential = (uniform: Uniform): number => 0 - Math.log(1 - uniform())

/**
 * Normal with mean 0 and standard deviation 1: two draws. Box and Muller (1958), one value of the pair.
 *
 * @category sampling
 * @since 0.2.0
 */
export const normal = (uniform: Uniform): number =>
  Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform())

/**
 * Gamma with the given shape, above 0, and scale 1: mean and variance are `shape`, the coefficient of variation is
 * 1 / √shape. Marsaglia and Tsang, "A simple method for generating gamma variables" (2000), which rejects less than one
 * draw in twenty; below 1 through shape + 1, as they say. Shape 1 is `exponential`.
 *
 * @category sampling
 * @since 0.2.0
 */
export const gamma = (shape: number, uniform: Uniform): number => {
  if (shape === 1) return exponential(uniform)
  if (shape < 1) return gamma(shape + 1, uniform) * Math.exp(Math.log(1 - uniform()) / shape)
  const d = shape - 1 / 3
  const c = 1 / Math.sqrt(9 * d)
  while (true) {
    const x = normal(uniform)
    const root = 1 + c * x
    if (root <= 0) continue
    const v = root * root * root
    const u = 1 - uniform()
    // The first bound is cheap and accepts nearly all that the exact one accepts.
    if (u < 1 - 0.0331 * x * x * x * x || Math.log(u) < 0.5 * x * x + d * (1 - v + Math.log(v))) return d * v
  }
}
