/** Numbers of the live panel: three digits that say enough and hardly move. */

const threeDigits = (value: number): string => value.toFixed(value < 9.995 ? 2 : value < 99.95 ? 1 : 0)

/** Seconds as `0.31 ms`, `31.0 ms`, `234 ms`, `1.23 s`. */
export const time = (seconds: number): string =>
  seconds < 0.9995 ? `${threeDigits(seconds * 1_000)} ms` : `${threeDigits(seconds)} s`

/** An amount as `8`, `812`, `8124`, `12.4k`, `1.24M`. */
export const amount = (value: number): string => {
  if (value < 9_999.5) return value.toFixed(0)
  return value < 999_500 ? `${threeDigits(value / 1e3)}k` : `${threeDigits(value / 1e6)}M`
}

/** A rate as `0.25`, `16.2`, `812`, `12.4k`. */
export const rate = (value: number): string => (value < 9_999.5 ? threeDigits(value) : amount(value))

const two = (number: number): string => String(number).padStart(2, "0")

/** Seconds as a clock shows them: `0:07`, `12:34`, `1:02:03`. */
export const clock = (seconds: number): string => {
  const whole = Math.floor(Math.max(0, seconds))
  const hours = Math.floor(whole / 3_600)
  const minutes = Math.floor((whole % 3_600) / 60)
  return hours > 0 ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`
}

/** Who sends, and how many of them were lost: `3 agents`, `2 of 3 agents`. */
export const senders = ({ count, name }: { readonly count: number; readonly name: string }, lost: number): string =>
  lost === 0 ? `${count} ${name}` : `${count - lost} of ${count} ${name}`
