/**
 * English words for numbers, as LLMPerf's correctness test writes them: `one thousand, two hundred and thirty-four`.
 *
 * @since 0.2.0
 */

const small =
  "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split(
    " "
  )
const tens = "- - twenty thirty forty fifty sixty seventy eighty ninety".split(" ")

const belowHundred = (n: number): string => {
  if (n < 20) return small[n] ?? ""
  const ten = tens[Math.floor(n / 10)] ?? ""
  return n % 10 === 0 ? ten : `${ten}-${small[n % 10]}`
}

const belowThousand = (n: number): string => {
  if (n < 100) return belowHundred(n)
  const hundreds = `${small[Math.floor(n / 100)]} hundred`
  return n % 100 === 0 ? hundreds : `${hundreds} and ${belowHundred(n % 100)}`
}

/**
 * The cardinal of a whole number from 0 to 999,999: a hyphen in 21 to 99, `and` before tens and ones, a comma after the
 * thousands where hundreds follow. Throws a `RangeError` for any other number.
 *
 * @category conversions
 * @since 0.2.0
 */
export const fromNumber = (n: number): string => {
  if (!Number.isInteger(n) || n < 0 || n > 999_999) throw new RangeError(`${n} is no whole number from 0 to 999999`)
  if (n < 1000) return belowThousand(n)
  const thousands = `${belowThousand(Math.floor(n / 1000))} thousand`
  const rest = n % 1000
  if (rest === 0) return thousands
  return rest < 100 ? `${thousands} and ${belowHundred(rest)}` : `${thousands}, ${belowThousand(rest)}`
}
