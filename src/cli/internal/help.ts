import type * as HelpDoc from "effect/cli/HelpDoc"
import * as Option from "effect/Option"

const columns = 100
const indent = "      "

/** Puts words into lines of at most `columns`; a longer word gets a line of its own. */
const wrap = (text: string, before: string): string => {
  const lines: Array<string> = []
  let line = ""
  for (const word of text.split(" ")) {
    if (line !== "" && before.length + line.length + 1 + word.length > columns) {
      lines.push(line)
      line = word
    } else line = line === "" ? word : `${line} ${word}`
  }
  return [...lines, line].map((each) => before + each).join("\n")
}

const flag = (doc: HelpDoc.FlagDoc): string => {
  const names = [`--${doc.name}`, ...doc.aliases].join(", ")
  const value = doc.type === "boolean" ? "" : ` <${doc.type.replace(/^<|>$/g, "")}>`
  const description = Option.getOrElse(doc.description, () => "")
  return `  ${names}${value}\n${wrap(description, indent)}`
}

const section = (title: string, lines: ReadonlyArray<string>): ReadonlyArray<string> =>
  lines.length === 0 ? [] : [`${title}\n${lines.join("\n")}`]

/** The help of a command, in lines of a width that fits any terminal and is easy to read. */
export const format = (doc: HelpDoc.HelpDoc): string => {
  const commands = (doc.subcommands ?? []).flatMap(({ commands }) => commands)
  const longest = Math.max(0, ...commands.map(({ name }) => name.length))
  return [
    wrap(doc.description, ""),
    ...section("USAGE", [`  ${doc.usage}`]),
    ...section(
      "COMMANDS",
      commands.map((command) => `  ${command.name.padEnd(longest)}  ${command.shortDescription ?? command.description}`)
    ),
    ...section("FLAGS", doc.flags.map(flag)),
    ...section("GLOBAL FLAGS", (doc.globalFlags ?? []).map(flag)),
    ...section(
      "EXAMPLES",
      (doc.examples ?? []).map(({ command, description }) =>
        description === undefined ? `  ${command}` : `${wrap(description, "  # ")}\n  ${command}`
      )
    )
  ].join("\n\n")
}
