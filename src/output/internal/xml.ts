/** XML text that is right by itself. */
export interface Markup {
  readonly markup: string
}

/** What XML 1.0 does not allow at all: most control characters, halves of surrogate pairs, U+FFFE and U+FFFF. */
// eslint-disable-next-line no-control-regex
const impossible = /[\u0000-\u0008\u000B\u000C\u000E-\u001F\uFFFE\uFFFF]|\p{Surrogate}/gu

const entities: ReadonlyMap<string, string> = new Map([
  ["&", "&amp;"],
  ["<", "&lt;"],
  [">", "&gt;"],
  ['"', "&quot;"],
  ["'", "&apos;"],
  ["\n", "&#10;"],
  ["\r", "&#13;"],
  ["\t", "&#9;"]
])

const escape = (text: string, characters: RegExp): string =>
  text.replaceAll(impossible, "\uFFFD").replaceAll(characters, (character) => entities.get(character) ?? character)

export const text = (content: string): Markup => ({ markup: escape(content, /[&<>\r]/g) })

export const element = (
  name: string,
  attributes: { readonly [name: string]: string },
  children: ReadonlyArray<Markup>
): Markup => {
  const opening = [
    name,
    ...Object.entries(attributes).map(([key, value]) => `${key}="${escape(value, /[&<>"'\n\r\t]/g)}"`)
  ]
  const inside = children.map(({ markup }) => markup).join("")
  return { markup: inside === "" ? `<${opening.join(" ")}/>` : `<${opening.join(" ")}>${inside}</${name}>` }
}

export const document = ({ markup }: Markup): string => `<?xml version="1.0" encoding="UTF-8"?>\n${markup}\n`
