/** Lines of the live panel. Everything on them is one column wide, so that a length is a width. */

/**
 * A piece of a line. `short`: what it says where there is little room. `rank`: what does not fit is left out, the highest first; 0
 * stays.
 */
export interface Part {
  readonly text: string
  readonly short?: string | undefined
  readonly mark?: ((text: string) => string) | undefined
  readonly rank: number
}

const same = (text: string): string => text

const widthOf = (parts: ReadonlyArray<Part>, gap: number): number =>
  parts.reduce((sum, { text }) => sum + gap + text.length, -gap)

/** The parts with gaps between them, at most so many columns wide; nothing when not even those that stay fit. */
export const line = (parts: ReadonlyArray<Part>, columns: number, gap: number): string => {
  let shown = parts
  while (widthOf(shown, gap) > columns) {
    const last = shown.reduce((rank, part) => Math.max(rank, part.rank), 0)
    if (last === 0) return ""
    shown = shown.filter(({ rank }) => rank < last)
  }
  return shown.map(({ mark = same, text }) => mark(text)).join(" ".repeat(gap))
}
