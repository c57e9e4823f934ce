/** A strict reader of the text format of OpenMetrics 1.0.0: what its grammar or its rules do not allow throws. */

export interface Sample {
  readonly name: string
  readonly labels: ReadonlyMap<string, string>
  readonly value: number
}

export interface Family {
  readonly name: string
  readonly type: string
  readonly unit: string
  readonly help: string
  readonly samples: ReadonlyArray<Sample>
}

const suffixes: { readonly [type: string]: ReadonlyArray<string> } = {
  gauge: [""],
  unknown: [""],
  counter: ["_total", "_created"],
  summary: ["", "_sum", "_count", "_created"],
  info: ["_info"],
  stateset: [""]
}

const metricName = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/
const labelName = /^[a-zA-Z_][a-zA-Z0-9_]*$/
const numberText = /^(?:[+-]?(?:inf|infinity)|nan|[+-]?\d+(?:\.\d*)?(?:e[+-]?\d+)?|[+-]?\.\d+(?:e[+-]?\d+)?)$/i

const numberOf = (text: string): number => {
  if (!numberText.test(text)) throw new Error(`not a number: ${text}`)
  return Number(text.replace(/^([+-]?)inf(inity)?$/i, "$1Infinity"))
}

/** Takes the text apart in which `\\`, `\n` and `\"` stand for what they mean, up to `end`. */
const unescaped = (text: string, from: number, end: string | null): readonly [value: string, next: number] => {
  let value = ""
  for (let at = from; at < text.length; at++) {
    const character = text.charAt(at)
    if (character === end) return [value, at + 1]
    if (character === '"') throw new Error(`a bare quote: ${text}`)
    if (character !== "\\") value += character
    else {
      const meant = new Map([
        ["\\", "\\"],
        ["n", "\n"],
        ['"', '"']
      ]).get(text.charAt(++at))
      if (meant === undefined) throw new Error(`unknown escape: ${text}`)
      value += meant
    }
  }
  if (end !== null) throw new Error(`no end of the text: ${text}`)
  return [value, text.length]
}

const sampleOf = (line: string): Sample => {
  const name = /^[^{ ]*/.exec(line)?.[0] ?? ""
  if (!metricName.test(name)) throw new Error(`not a name: ${line}`)
  const labels = new Map<string, string>()
  let at = name.length
  if (line.charAt(at) === "{") {
    at++
    while (line.charAt(at) !== "}") {
      const equals = line.indexOf('="', at)
      const label = line.slice(at, equals)
      if (equals < 0 || !labelName.test(label)) throw new Error(`not a label: ${line}`)
      if (labels.has(label)) throw new Error(`twice the label ${label}: ${line}`)
      const [value, next] = unescaped(line, equals + 2, '"')
      labels.set(label, value)
      at = next
      if (line.charAt(at) === ",") {
        at++
        if (line.charAt(at) === "}") throw new Error(`a comma too many: ${line}`)
      } else if (line.charAt(at) !== "}") throw new Error(`neither comma nor end: ${line}`)
    }
    at++
  }
  if (line.charAt(at) !== " ") throw new Error(`no value: ${line}`)
  return { name, labels, value: numberOf(line.slice(at + 1)) }
}

const keyOf = ({ labels, name }: Sample): string => JSON.stringify([name, [...labels].toSorted()])

const checkSample = (family: Family, sample: Sample): void => {
  const told = JSON.stringify([sample.name, [...sample.labels], sample.value])
  const suffix = sample.name.slice(family.name.length)
  if (!sample.name.startsWith(family.name) || suffixes[family.type]?.includes(suffix) !== true) {
    throw new Error(`not of the family ${family.name} (${family.type}): ${told}`)
  }
  if (family.type === "summary") {
    const quantile = sample.labels.get("quantile")
    if ((suffix === "") !== (quantile !== undefined)) throw new Error(`a quantile where none belongs: ${told}`)
    if (quantile !== undefined && !(numberOf(quantile) >= 0 && numberOf(quantile) <= 1)) throw new Error(told)
    if (sample.value < 0) throw new Error(`below zero: ${told}`)
    if (suffix === "_count" && !Number.isInteger(sample.value)) throw new Error(`not whole: ${told}`)
  }
  if (family.type === "info" && sample.value !== 1) throw new Error(`an info is 1: ${told}`)
  if (family.type === "stateset" && (!sample.labels.has(family.name) || ![0, 1].includes(sample.value))) {
    throw new Error(`not a state: ${told}`)
  }
}

type Draft = { -readonly [Key in keyof Family]: Family[Key] }

/** The families of the text, by their names. */
export const parse = (text: string): ReadonlyMap<string, Family> => {
  if (!text.endsWith("# EOF\n")) throw new Error("it does not end with # EOF")
  const families = new Map<string, Draft>()
  const taken = new Set<string>()
  const keys = new Set<string>()
  const drafts: Array<Draft> = []
  let seen = new Set<string>()
  for (const line of text.slice(0, -"# EOF\n".length).split("\n").slice(0, -1)) {
    const last = drafts.at(-1)
    const described = /^# (TYPE|UNIT|HELP) (\S+) (.*)$/.exec(line)
    if (described === null) {
      if (last === undefined || line.startsWith("#") || line === "") throw new Error(`out of place: ${line}`)
      const sample = sampleOf(line)
      checkSample(last, sample)
      if (keys.has(keyOf(sample))) throw new Error(`twice: ${line}`)
      keys.add(keyOf(sample))
      last.samples = [...last.samples, sample]
      continue
    }
    const [, kind = "", name = "", rest = ""] = described
    if (!metricName.test(name)) throw new Error(`not a name: ${line}`)
    const isNew = last?.name !== name
    const current: Draft = isNew ? { name, type: "unknown", unit: "", help: "", samples: [] } : last
    if (isNew) {
      if (families.has(name)) throw new Error(`the family ${name} is not in one piece`)
      drafts.push(current)
      families.set(name, current)
      seen = new Set()
    }
    if (seen.has(kind) || current.samples.length > 0) throw new Error(`too late or twice: ${line}`)
    seen.add(kind)
    if (kind === "TYPE") {
      const own = suffixes[rest]
      if (own === undefined) throw new Error(`no such type: ${line}`)
      current.type = rest
      for (const each of new Set(["", ...own])) {
        if (taken.has(name + each)) throw new Error(`${name + each} is two things`)
        taken.add(name + each)
      }
    } else if (kind === "UNIT") {
      if (!name.endsWith(`_${rest}`)) throw new Error(`the unit is not the end of the name: ${line}`)
      if (["info", "stateset"].includes(current.type)) throw new Error(`no unit may be here: ${line}`)
      current.unit = rest
    } else current.help = unescaped(rest, 0, null)[0]
  }
  return families
}
