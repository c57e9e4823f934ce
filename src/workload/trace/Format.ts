/**
 * How a file of requests is to be read: which of its columns say what.
 *
 * A format is the same for CSV and for JSON lines: names of columns or keys.
 *
 * @since 0.2.0
 */

/**
 * A moment: whole seconds since some origin, and the rest in ticks of 100 ns, from 0 to 9,999,999. In this form moments of
 * any date are exact, where a single double counts the ticks of a few decades only.
 *
 * @category models
 * @since 0.2.0
 */
export interface Instant {
  seconds: number
  ticks: number
}

/**
 * When a request is due. A cell is a string in CSV and any value in JSON.
 *
 * - `offset`: seconds after the start, kept as they are; `read` gives NaN for what is none
 * - `instant`: a moment; the earliest of the file becomes 0. `read` fills `into` and says whether the cell was a moment
 *
 * `expected` says in words what a cell must hold.
 *
 * @category models
 * @since 0.2.0
 */
export type Time =
  | { readonly kind: "offset"; readonly expected: string; readonly read: (cell: unknown) => number }
  | { readonly kind: "instant"; readonly expected: string; readonly read: (cell: unknown, into: Instant) => boolean }

/**
 * A whole number. `read` gives NaN for what is none.
 *
 * @category models
 * @since 0.2.0
 */
export interface Count {
  readonly expected: string
  readonly read: (cell: unknown) => number
}

/**
 * Which conversation a request belongs to. `make` is called once per file; the function gets the cells of `columns`, of
 * which any may be missing (`undefined`), and gives a number from 1, or 0 for none.
 *
 * @category models
 * @since 0.2.0
 */
export interface Sessions {
  readonly columns: readonly [string] | readonly [string, string]
  readonly make: () => (first: unknown, second: unknown) => number
}

/**
 * Which blocks a prompt begins with. `read` gives the ids one by one to `add` and says whether the cell was a list of
 * ids; it is not called for a row without that cell.
 *
 * @category models
 * @since 0.2.0
 */
export interface Blocks {
  readonly column: string
  readonly blockTokens: number
  readonly expected: string
  readonly read: (cell: unknown, add: (id: number) => void) => boolean
}

/**
 * A format.
 *
 * - `name`: for programs, `title`: for people
 * - `timeColumn`, `inputColumn`, `outputColumn`: needed in every file of this format; it is known by them, and by `mark`,
 *   of which one must be there too when it is not empty
 * - `skipZero`: what a row without input or output tokens was (`failed requests`): it is left out and counted. `null` when
 *   such a row is an error
 *
 * @category models
 * @since 0.2.0
 */
export interface Format {
  readonly name: string
  readonly title: string
  readonly timeColumn: string
  readonly time: Time
  readonly inputColumn: string
  readonly outputColumn: string
  readonly tokens: Count
  readonly mark: ReadonlyArray<string>
  readonly sessions: Sessions | null
  readonly blocks: Blocks | null
  readonly skipZero: string | null
}
