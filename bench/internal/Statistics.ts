import * as Quantile from "../../src/metrics/Quantile.ts"

/** Several measurements of the same thing. */
export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
}

/** The `q` quantile of values in any order; 0 when there are none. */
export const quantile = (values: ReadonlyArray<number>, q: number): number =>
  Quantile.quantile(
    values.toSorted((a, b) => a - b),
    q
  ) ?? 0

export const spread = (values: ReadonlyArray<number>): Spread => ({
  median: quantile(values, 0.5),
  min: quantile(values, 0),
  max: quantile(values, 1)
})

/** The slope of the line that fits the points best (least squares); 0 below two points. */
export const slope = (points: ReadonlyArray<readonly [x: number, y: number]>): number => {
  const mean = (of: (point: readonly [number, number]) => number) =>
    points.reduce((sum, point) => sum + of(point), 0) / points.length
  const [x, y] = [mean(([x]) => x), mean(([, y]) => y)]
  const variance = mean(([px]) => (px - x) ** 2)
  return variance > 0 ? mean(([px, py]) => (px - x) * (py - y)) / variance : 0
}
