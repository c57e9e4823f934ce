/**
 * A latency that is drawn anew each time: a mean and a shape.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaTransformation from "effect/SchemaTransformation"
import * as Sampling from "../domain/Sampling.ts"

/**
 * How the values spread around the mean:
 *
 * - `constant`: always the mean
 * - `exponential`: coefficient of variation 1
 * - `normal`: values below 0 become 0, so the mean is exact only while the coefficient of variation is small (below 0.3)
 * - `lognormal`, `gamma`: never below 0, mean and coefficient of variation exact
 *
 * @category models
 * @since 0.1.0
 */
export const Shape = Schema.Literals(["constant", "exponential", "normal", "lognormal", "gamma"])

/**
 * @category models
 * @since 0.1.0
 */
export type Shape = typeof Shape.Type

/**
 * A distribution of latencies: `mean` in seconds, `cv` the coefficient of variation (standard deviation / mean), which
 * only `normal`, `lognormal` and `gamma` read.
 *
 * @category models
 * @since 0.1.0
 */
export const Latency = Schema.Struct({
  shape: Shape.pipe(
    Schema.withConstructorDefault(Effect.succeed("constant" as const)),
    Schema.withDecodingDefaultKey(Effect.succeed("constant" as const))
  ),
  mean: Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0)),
  cv: Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0)).pipe(
    Schema.withConstructorDefault(Effect.succeed(0)),
    Schema.withDecodingDefaultKey(Effect.succeed(0))
  )
})

/**
 * @category models
 * @since 0.1.0
 */
export interface Latency extends Schema.Schema.Type<typeof Latency> {}

/**
 * Always the same number of seconds.
 *
 * @category constructors
 * @since 0.1.0
 */
export const constant = (seconds: number): Latency => ({ shape: "constant", mean: seconds, cv: 0 })

const forms = "MEAN, constant:MEAN, exponential:MEAN, normal:MEAN:CV, lognormal:MEAN:CV or gamma:MEAN:CV"

const number = (text: string | undefined): number =>
  text === undefined || text.trim() === "" ? Number.NaN : Number(text)

/** `undefined` when the text is not a latency. A mean of 1 in the text is `unit` seconds. */
const parse = (text: string, unit: number): Latency | undefined => {
  const parts = text.split(":")
  const shape = parts.length === 1 ? "constant" : parts[0]
  const mean = number(parts.length === 1 ? parts[0] : parts[1]) * unit
  const cv = number(parts[2])
  if (!(mean >= 0 && mean < Infinity)) return undefined
  switch (shape) {
    case "constant":
    case "exponential":
      return parts.length > 2 ? undefined : { shape, mean, cv: shape === "constant" ? 0 : 1 }
    case "normal":
    case "lognormal":
    case "gamma":
      return parts.length === 3 && cv >= 0 && cv < Infinity ? { shape, mean, cv } : undefined
    default:
      return undefined
  }
}

const print = (latency: Latency, unit: number): string => {
  const mean = String(latency.mean / unit)
  switch (latency.shape) {
    case "constant":
      return mean
    case "exponential":
      return `exponential:${mean}`
    default:
      return `${latency.shape}:${mean}:${latency.cv}`
  }
}

const fromString = (unit: number) =>
  Schema.String.pipe(
    Schema.decodeTo(
      Schema.toType(Latency),
      SchemaTransformation.transformEffect({
        decode: (text: string, options) => {
          const latency = parse(text, unit)
          return latency === undefined
            ? Effect.fail(
                new SchemaIssue.InvalidValue({ message: `"${text}" is not a latency: write ${forms}` }, text, options)
              )
            : Effect.succeed(latency)
        },
        encode: (latency: Latency) => Effect.succeed(print(latency, unit))
      })
    )
  )

/**
 * A latency as text, with the mean in seconds: `0.1`, `exponential:0.1`, `lognormal:0.1:0.5` (the last number is the
 * coefficient of variation). What does not parse fails with a message that lists the forms.
 *
 * @category schemas
 * @since 0.1.0
 */
export const LatencyFromString = fromString(1)

/**
 * The same with the mean in milliseconds: `100`, `gamma:100:0.5`.
 *
 * @category schemas
 * @since 0.1.0
 */
export const LatencyFromMillisString = fromString(1e-3)

/**
 * Draws a latency in seconds. `uniform` draws from [0, 1); a constant does not call it.
 *
 * @category generators
 * @since 0.1.0
 */
export const sample = (latency: Latency, uniform: Sampling.Uniform): number => {
  const { cv, mean, shape } = latency
  if (shape === "exponential") return mean * Sampling.exponential(uniform)
  if (shape === "constant" || cv === 0 || mean === 0) return mean
  switch (shape) {
    case "normal":
      return Math.max(0, mean * (1 + cv * Sampling.normal(uniform)))
    case "lognormal": {
      const variance = Math.log(1 + cv * cv)
      return mean * Math.exp(Math.sqrt(variance) * Sampling.normal(uniform) - variance / 2)
    }
    case "gamma":
      return Sampling.gamma(1 / (cv * cv), uniform) * mean * cv * cv
  }
}
