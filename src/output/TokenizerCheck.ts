/**
 * How far a tokenizer is off from that of a model, by a few texts that both have counted.
 *
 * @since 0.2.0
 */

/**
 * A text and its tokens, by the tokenizer and by the server.
 *
 * @category models
 * @since 0.2.0
 */
export interface Counted {
  readonly name: string
  readonly tokenizer: number
  readonly server: number
}

/**
 * Texts of different kinds: tokenizers that are alike in one differ in another.
 *
 * @category constants
 * @since 0.2.0
 */
export const texts: ReadonlyArray<{ readonly name: string; readonly text: string }> = [
  {
    name: "English",
    text: "A queue forms whenever work arrives faster than it can be done. What matters to the people waiting in it is neither the average nor the record, but how long most of them wait, and how much worse it gets when everyone comes at once."
  },
  {
    name: "JSON",
    text: JSON.stringify({
      order: { id: 48_213, paid: true, currency: "EUR", note: null },
      items: [
        { sku: "AB-1047", quantity: 2, price: 19.95 },
        { sku: "ZX-0003", quantity: 11, price: 0.5 }
      ]
    })
  },
  {
    name: "Chinese",
    text: "排队的人最关心的不是平均等待时间，而是大多数人要等多久，以及所有人同时到来时会慢多少。"
  },
  {
    name: "code",
    text: "def median(values: list[float]) -> float:\n    ordered = sorted(values)\n    middle = len(ordered) // 2\n    if len(ordered) % 2 == 1:\n        return ordered[middle]\n    return (ordered[middle - 1] + ordered[middle]) / 2\n"
  }
]

/**
 * The tokenizer's count less the server's, as a share of the server's; `null` where the server counts none.
 *
 * @category reading
 * @since 0.2.0
 */
export const difference = ({ server, tokenizer }: Counted): number | null =>
  server === 0 ? null : (tokenizer - server) / server

/** Up to this it is as good as the model's own. */
const CLOSE = 0.02

const signed = (share: number | null): string =>
  share === null ? "–" : `${share > 0 ? "+" : share < 0 ? "−" : "±"}${(Math.abs(share) * 100).toFixed(1)} %`

/**
 * What to know of the tokenizer called `name`, in lines.
 *
 * @category rendering
 * @since 0.2.0
 */
export const lines = (name: string, counted: ReadonlyArray<Counted>): ReadonlyArray<string> => {
  const widest = Math.max(...counted.map((each) => each.name.length))
  const most = Math.max(0, ...counted.map((each) => Math.abs(difference(each) ?? 0)))
  return [
    `Tokens by the tokenizer ${name}, and by the server's /tokenize:`,
    ...counted.map(
      (each) =>
        `  ${each.name.padEnd(widest)}  ${String(each.tokenizer).padStart(5)}  ${String(each.server).padStart(5)}  ${signed(difference(each))}`
    ),
    most <= CLOSE
      ? "It counts as the model does."
      : "It is not the model's: name that with --tokenizer, so that prompts have the length asked for. Output tokens are the server's where it sends usage (--count-tokens)."
  ]
}
