/** More is no setting. An alias in YAML counts as all that it stands for. */
const MOST_PARTS = 100_000
/** What reads and writes values calls itself for every level. */
const MOST_LEVELS = 100

/** Why a value from a file or a flag cannot be used, `null` when it can. */
export const tooLarge = (value: unknown): string | null => {
  let parts = 0
  const look = (value: unknown, level: number): string | null => {
    if (++parts > MOST_PARTS) return `it has more than ${MOST_PARTS} values`
    if (typeof value !== "object" || value === null) return null
    if (level > MOST_LEVELS) return `it is nested more than ${MOST_LEVELS} levels deep`
    for (const inner of Object.values(value)) {
      const problem = look(inner, level + 1)
      if (problem !== null) return problem
    }
    return null
  }
  return look(value, 1)
}
