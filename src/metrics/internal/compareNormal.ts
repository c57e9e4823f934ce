/** The normal distribution function, to 7.5 × 10⁻⁸: Abramowitz and Stegun (1964), 26.2.17. */
export const normalBelow = (z: number): number => {
  const t = 1 / (1 + 0.2316419 * Math.abs(z))
  const powers = t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))))
  const above = (Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI)) * powers
  return z > 0 ? 1 - above : above
}

/** The number above which a standard normal one lies with that chance (below 0.5), by bisection. */
export const normalUpper = (chance: number): number => {
  let low = 0
  let high = 10
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2
    if (normalBelow(-middle) > chance) low = middle
    else high = middle
  }
  return (low + high) / 2
}

/** The same for Student's t, by the expansion of Cornish and Fisher: Abramowitz and Stegun, 26.7.5. Good from 3 degrees on. */
export const studentUpper = (chance: number, degrees: number): number => {
  const z = normalUpper(chance)
  const z2 = z * z
  return (
    z +
    (z * (z2 + 1)) / (4 * degrees) +
    (z * ((5 * z2 + 16) * z2 + 3)) / (96 * degrees ** 2) +
    (z * (((3 * z2 + 19) * z2 + 17) * z2 - 15)) / (384 * degrees ** 3)
  )
}
