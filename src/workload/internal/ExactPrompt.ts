/**
 * Texts of an exact number of tokens, for any tokenizer.
 *
 * The tokens of a text are not the sum of the tokens of its parts in general, but nearly so when the parts are lines.
 * So lines are counted once each and added up to just below the target, the last one is cut where it fits, and then the
 * whole text is counted: that count decides. When it is off, the budget moves by the difference and another line is cut.
 */
import * as Corpus from "../Corpus.ts"
import type { PythonRandom } from "../PythonRandom.ts"
import * as GivenTexts from "./givenTexts.ts"

export interface Text {
  readonly text: string
  readonly tokens: number
}

/** A text, and whether it was given out before. */
export interface Built extends Text {
  readonly repeated: boolean
}

interface Found extends Text {
  readonly key: number
}

interface Line extends Text {
  /** Its beginnings by their number of tokens; found on first use. */
  readonly cuts: Map<number, Text>
}

type LineAt = (index: number) => Line

// Nearly all texts fit at once, the others after one or two repairs; a tokenizer that needs more can't be exact.
const REPAIRS = 12
// Lines tried for the end of a text before the nearest is taken.
const ENDS = 16
// Orders of lines tried for one text: a few of the sonnets, then lines of random words, which are more varied.
const ORDERS_OF_SONNETS = 4
const ORDERS = 48
const WORDS_PER_LINE = 8

const SONNET_LINES = Corpus.lines.map((line) => (line.endsWith("\n") ? line : `${line}\n`))
const WORDS = Corpus.text.split(/\s+/)

// Stands before a line when it is counted, so that it is counted as a line in the middle of a text.
const BEFORE = SONNET_LINES[1] ?? ""

export const make = (count: (text: string) => number) => {
  const before = count(BEFORE)
  const toText = (text: string): Text => ({ text, tokens: count(BEFORE + text) - before })
  const toLine = (text: string): Line => ({ ...toText(text), cuts: new Map() })
  const sonnets = SONNET_LINES.map(toLine)
  const noLine: Line = { text: "", tokens: 0, cuts: new Map() }
  const given = GivenTexts.make()
  // Heads and lengths for which no new text was found: not searched again.
  const exhausted = new Set<string>()

  // The beginning of the line with that many tokens: up to the end of a word if there is one, else up to any letter,
  // never with white space at the end, which servers strip. The longest with fewer tokens when there is none.
  const findCut = (line: Line, tokens: number): Text => {
    let nearest: Text = noLine
    for (const wholeWords of [true, false]) {
      for (let end = line.text.length - 1; end > 0; end--) {
        if (/\s/.test(line.text.charAt(end - 1))) continue
        if (/\s/.test(line.text.charAt(end)) !== wholeWords) continue
        const piece = toText(line.text.slice(0, end))
        if (piece.tokens === tokens) return piece
        if (piece.tokens < tokens && piece.tokens > nearest.tokens) nearest = piece
      }
    }
    return nearest
  }
  const cut = (line: Line, tokens: number): Text => {
    const known = line.cuts.get(tokens)
    if (known !== undefined) return known
    const found = findCut(line, tokens)
    line.cuts.set(tokens, found)
    return found
  }

  // Whole lines while they fit, then the beginning of a line; `skip` leaves out lines before that, for another end.
  const compose = (lineAt: LineAt, budget: number, skip: number): string => {
    let text = ""
    let left = budget
    let index = 0
    for (; left > 0 && lineAt(index).tokens < left; index++) {
      text += lineAt(index).text
      left -= Math.max(lineAt(index).tokens, 1)
    }
    if (left <= 0) return text
    let best = noLine.text
    let bestTokens = 0
    for (let end = 0; end < ENDS; end++) {
      const line = lineAt(index + skip + end)
      const rest = left - line.tokens
      // A line that would fill the text to the brim would end it with a newline: take it only with something behind it.
      const piece = rest > 0 ? cut(lineAt(index + skip + end + 1), rest) : cut(line, left)
      const tail = rest > 0 ? line.text + piece.text : piece.text
      const tokens = rest > 0 ? line.tokens + piece.tokens : piece.tokens
      if (tokens > bestTokens) {
        best = tail
        bestTokens = tokens
      }
      if (tokens === left) break
    }
    return text + best
  }

  // The given order first, then freshly shuffled ones, so that long texts don't repeat themselves.
  const sonnetOrder = (first: ReadonlyArray<number>, own: () => PythonRandom): LineAt => {
    const order = [...first]
    return (index) => {
      while (index >= order.length) {
        const pass = [...sonnets.keys()]
        own().shuffle(pass)
        order.push(...pass)
      }
      return sonnets[order[index] ?? 0] ?? noLine
    }
  }
  const wordOrder = (own: () => PythonRandom): LineAt => {
    const order: Array<Line> = []
    return (index) => {
      while (index >= order.length) {
        const words = Array.from({ length: WORDS_PER_LINE }, () => WORDS[own().randbelow(WORDS.length)])
        order.push(toLine(`${words.join(" ")}\n`))
      }
      return order[index] ?? noLine
    }
  }

  // From `random` only forks are taken, `id` being part of their names.
  const search = (
    head: Text,
    target: number,
    order: ReadonlyArray<number>,
    random: PythonRandom,
    id: number,
    onlyNew: boolean
  ): Found | undefined => {
    let nearest: Found | undefined
    for (let attempt = 0; attempt < ORDERS; attempt++) {
      let fork: PythonRandom | undefined
      const own = () => (fork ??= random.fork(`text ${id} order ${attempt}`))
      const lineAt = attempt < ORDERS_OF_SONNETS ? sonnetOrder(attempt === 0 ? order : [], own) : wordOrder(own)
      let budget = target - head.tokens
      for (let repair = 0; repair < REPAIRS; repair++) {
        const text = head.text + compose(lineAt, budget, repair)
        const tokens = count(text)
        const key = given.keyOf(text)
        if (!onlyNew || !given.has(key)) {
          if (tokens === target) return { text, tokens, key }
          if (nearest === undefined || Math.abs(target - tokens) < Math.abs(target - nearest.tokens)) {
            nearest = { text, tokens, key }
          }
        } else if (tokens === target) break
        budget = Math.max(0, budget + target - tokens)
      }
      if (nearest !== undefined && attempt + 1 >= ORDERS_OF_SONNETS) break
    }
    return nearest
  }

  /**
   * A text that begins with `head`, has `target` tokens and was not given out before; when no such text is found, the
   * nearest new one. When there is no new one at all: any with `repeat`, else `undefined`.
   *
   * `order` is the first pass over the lines; what is drawn besides comes from forks of `random`, which depend on `id`.
   */
  const build = (options: {
    readonly head: Text
    readonly target: number
    readonly order: ReadonlyArray<number>
    readonly random: PythonRandom
    readonly id: number
    readonly repeat: boolean
  }): Built | undefined => {
    const { head, id, order, random, repeat, target } = options
    const place = `${target} ${head.text}`
    let found = exhausted.has(place) ? undefined : search(head, target, order, random, id, true)
    if (found === undefined) {
      exhausted.add(place)
      if (repeat) found = search(head, target, order, random, id, false)
    }
    if (found === undefined) return undefined
    const { key, text, tokens } = found
    const repeated = given.has(key)
    if (!repeated) given.add(key)
    return { text, tokens, repeated }
  }

  return { build }
}
