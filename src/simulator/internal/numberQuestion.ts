import { type Uniform } from "./draws.ts"

/** What LLMPerf's correctness test asks: the number that some English words spell. */

const opening = "Convert the following sequence of words into a number: "

const values: ReadonlyMap<string, number> = new Map([
  ..."zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
    .split(" ")
    .map((word, value) => [word, value] as const),
  ..."twenty thirty forty fifty sixty seventy eighty ninety"
    .split(" ")
    .map((word, tens) => [word, (tens + 2) * 10] as const)
])

const read = (words: string): number | undefined => {
  let thousands = 0
  let rest = 0
  let found = false
  for (const word of words.toLowerCase().split(/[\s,-]+/)) {
    if (word === "" || word === "and") continue
    found = true
    const value = values.get(word)
    if (value !== undefined) rest += value
    else if (word === "hundred") rest *= 100
    else if (word === "thousand") {
      thousands += rest * 1000
      rest = 0
    } else return undefined
  }
  return found ? thousands + rest : undefined
}

/** The number that a prompt asks for, `undefined` when it asks for something else. */
export const askedNumber = (prompt: string): number | undefined => {
  const at = prompt.lastIndexOf(opening)
  if (at < 0) return undefined
  const start = at + opening.length
  const end = prompt.indexOf(".", start)
  return read(prompt.slice(start, end < 0 ? undefined : end))
}

/** Shares of the answers, from 0 to 1. */
export interface Rates {
  readonly silentRate: number
  readonly wrongRate: number
}

/** The words around a number; every piece here is one Llama token, the digits of the number are one each. */
interface Frame {
  readonly before: ReadonlyArray<string>
  readonly after: ReadonlyArray<string>
}

const plain: ReadonlyArray<Frame> = [
  { before: [" "], after: [] },
  { before: ["The", " answer", " is", " "], after: ["."] },
  { before: ["The", " number", " is", ":", "\n"], after: [] },
  { before: ["It", " is", " **"], after: ["**"] }
]

const decoy = 1
const withDecoy: Frame = {
  before: ["Step", " ", String(decoy), ":", " the", " number", " is", " "],
  after: ["."]
}

const silence: ReadonlyArray<string> = ["I", " can", " not", " tell", "."]

const largest = 10_000

/** Another number, or the same with a digit too many. */
const wrongDigits = (number: number, uniform: Uniform): string => {
  if (uniform() < 0.25) return `${number}${Math.floor(uniform() * 10)}`
  return String((number + 1 + Math.floor(uniform() * largest)) % (largest + 1))
}

const grouped = (digits: string): string => digits.replaceAll(/\B(?=(\d{3})+$)/g, ",")

/** What the model says, in pieces of one Llama token each. */
export const answer = (number: number, rates: Rates, uniform: Uniform): ReadonlyArray<string> => {
  const chance = uniform()
  if (chance < rates.silentRate) return silence
  const isWrong = chance < rates.silentRate + rates.wrongRate
  const digits = isWrong ? wrongDigits(number, uniform) : String(number)
  const frames = isWrong && number === decoy ? plain : [...plain, withDecoy]
  const { after, before } = frames[Math.floor(uniform() * frames.length)] ?? withDecoy
  return [...before, ...(uniform() < 0.5 ? digits : grouped(digits)), ...after]
}
