const BLOCKS = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"]
const LETTERS = [" ", ".", ":", "-", "=", "+", "*", "#", "@"]

/**
 * Values as one character each, as high as their share of the largest; only zero is blank. Where there is no room for `most`,
 * neighbours share a character that stands for their mean. `first` is the number of the first value, counted from the beginning of all
 * time: who shares with whom follows from it, so that what has been drawn only moves when more come.
 */
export const sparkline = (
  values: ReadonlyArray<number>,
  options: { readonly first: number; readonly most: number; readonly columns: number; readonly unicode: boolean }
): string => {
  const { columns, first, most, unicode } = options
  if (columns < 2) return ""
  const together = columns >= most ? 1 : Math.ceil(most / (columns - 1))
  const means: Array<number> = []
  for (let from = 0; from < values.length;) {
    const to = Math.min(values.length, from + together - ((first + from) % together))
    let sum = 0
    for (let i = from; i < to; i++) sum += Math.max(0, values[i]!)
    means.push(sum / (to - from))
    from = to
  }
  const levels = unicode ? BLOCKS : LETTERS
  const largest = Math.max(...means)
  const level = (mean: number): number => (mean > 0 ? Math.ceil((mean / largest) * 8) : 0)
  return means
    .slice(-columns)
    .map((mean) => levels[level(mean)] ?? " ")
    .join("")
}
