/** How the null server answers, and for how long a load is measured, when nothing is said. Seconds. */
export const defaults = { pace: { ttftSeconds: 0.1, itlSeconds: 0.02 }, seconds: 6 } as const
