/** Marks of a terminal around a text, or none. */
export interface Style {
  readonly bold: (text: string) => string
  readonly dim: (text: string) => string
  readonly red: (text: string) => string
  readonly yellow: (text: string) => string
  readonly green: (text: string) => string
}

const mark = (on: number, off: number) => (text: string) => (text === "" ? "" : `\u001B[${on}m${text}\u001B[${off}m`)

const colored: Style = {
  bold: mark(1, 22),
  dim: mark(2, 22),
  red: mark(31, 39),
  yellow: mark(33, 39),
  green: mark(32, 39)
}

const same = (text: string) => text

const plain: Style = { bold: same, dim: same, red: same, yellow: same, green: same }

export const style = (color: boolean): Style => (color ? colored : plain)
