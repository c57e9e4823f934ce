/**
 * How requests came in, by their times in seconds: the rate; the dispersion of the counts of each second (their variance over
 * their mean), which is 1 for a Poisson process and 0 for a constant rate; and the correlation of each gap with the next, which
 * is 0 for both.
 */
export const describe = (times: ReadonlyArray<number>) => {
  const sorted = times.toSorted((a, b) => a - b)
  const start = sorted[0] ?? 0
  const duration = (sorted.at(-1) ?? 0) - start
  const gaps = sorted.slice(1).map((at, index) => at - (sorted[index] ?? 0))
  const counts = Array.from({ length: Math.floor(duration) }, () => 0)
  for (const at of sorted) {
    const second = Math.floor(at - start)
    if (second < counts.length) counts[second] = (counts[second] ?? 0) + 1
  }
  const mean = (values: ReadonlyArray<number>) =>
    values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length)
  const countMean = mean(counts)
  const gapMean = mean(gaps)
  const off = gaps.map((gap) => gap - gapMean)
  return {
    perSecond: duration > 0 ? gaps.length / duration : 0,
    dispersion: countMean > 0 ? mean(counts.map((count) => (count - countMean) ** 2)) / countMean : 0,
    correlation:
      off.length > 1
        ? mean(off.slice(1).map((value, index) => value * (off[index] ?? 0))) / mean(off.map((value) => value ** 2))
        : 0
  }
}
