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

/** The flags of a load test in a text that may begin with the command itself. */
export const flagsIn = (text: string): ReadonlyArray<string> | null => {
  const all = words(text)
  if (all === null) return null
  const command = all.indexOf("load-test")
  return command >= 0 && all.slice(0, command).every((word) => !word.startsWith("-")) ? all.slice(command + 1) : all
}
