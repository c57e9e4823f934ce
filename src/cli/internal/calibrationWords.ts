/** The words of a text as a shell takes them: by blanks, with quotes around what belongs together, or a backslash before. */
export const words = (text: string): ReadonlyArray<string> | null => {
  const found: Array<string> = []
  let word: string | null = null
  let quote = ""
  for (let at = 0; at < text.length; at++) {
    const character = text.charAt(at)
    if (quote === "" && /\s/.test(character)) {
      if (word !== null) found.push(word)
      word = null
    } else if (quote === "" && (character === "'" || character === '"')) {
      quote = character
      word ??= ""
    } else if (character === quote) quote = ""
    else if (character === "\\" && quote !== "'" && at + 1 < text.length) word = (word ?? "") + text.charAt(++at)
    else word = (word ?? "") + character
  }
  if (quote !== "") return null
  return word === null ? found : [...found, word]
}

/** The words as a shell takes them for the same: the inverse of `words`. */
export const quoted = (all: ReadonlyArray<string>): string =>
  all.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`)).join(" ")

/** What says how heavy a load is. */
const ofLoad: ReadonlySet<string> = new Set(
  [
    "mean-input-tokens stddev-input-tokens mean-output-tokens stddev-output-tokens num-concurrent-requests",
    "max-num-completed-requests request-rate arrival burstiness burst-size ramp stages duration max-in-flight when-full",
    "schedule-file map from to speed loop max-rate limit scale-input scale-output prompt-mode tokenizer"
  ].flatMap((names) => names.split(" "))
)

/** Of the arguments of a load test those that say how heavy it is, as `--name=value`. */
export const loadFlags = (args: ReadonlyArray<string>): ReadonlyArray<string> =>
  args.flatMap((word, at) => {
    const [, name = "", value = args[at + 1]] = /^--([a-z-]+)(?:=(.*))?$/s.exec(word) ?? []
    return ofLoad.has(name) && value !== undefined ? [`--${name}=${value}`] : []
  })

/** The flags of a load test in a text that may begin with the command itself. */
export const flagsIn = (text: string): ReadonlyArray<string> | null => {
  const all = words(text)
  if (all === null) return null
  const command = all.indexOf("load-test")
  return command >= 0 && all.slice(0, command).every((word) => !word.startsWith("-")) ? all.slice(command + 1) : all
}
