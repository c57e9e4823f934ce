import type { ByteReader, ByteWriter } from "./bytes.ts"
import type { Flight } from "./flight.ts"

const CELLS = 2 ** 17
const FIRST_WIDTH = 2 ** -17
// Far more than rounding adds to the mean of a cell, far less than a request
const ROUNDING = 1e-6

const sum = (counts: Uint32Array): number => counts.reduce((total, count) => total + count, 0)

/**
 * When requests were in flight, in 2 MB whatever their number: time is cut into at most 131,072 cells of equal width, which
 * doubles whenever a request ends after the last one. A cell is thus at most 1/65,536 of the time until the last end. Of each cell
 * it is known how many requests were in flight at its beginning, how many ended in it, and how long all its requests were in
 * flight during it, together.
 *
 * - `requestSeconds` is exact
 * - `busySeconds` is never too small. It is exact in a cell during which there was always a request in flight, and in one whose
 *   requests do not overlap; so it is too large by two cells at most for each time when nothing was in flight
 * - `most` is never too large, and too small by no more than the requests that are sent within one cell
 *
 * Two grids merged are the grid of the requests of both.
 */
export class FlightGrid {
  #width = FIRST_WIDTH
  #used = 0
  #requestSeconds = 0
  readonly #sent = new Uint32Array(CELLS)
  readonly #ended = new Uint32Array(CELLS)
  // For every request sent in the cell, from that moment to the end of the cell; less the same for every request that ended in it
  readonly #seconds = new Float64Array(CELLS)

  /** Seconds after the start of the run; a moment before it counts as at it. */
  add(sentSeconds: number, endSeconds: number): void {
    const sent = Math.max(0, sentSeconds)
    const end = Math.max(sent, endSeconds)
    if (end >= CELLS * this.#width) this.#widen(2 ** (Math.floor(Math.log2(end / CELLS)) + 1))
    const from = Math.floor(sent / this.#width)
    const to = Math.floor(end / this.#width)
    this.#sent[from] = this.#sent[from]! + 1
    this.#ended[to] = this.#ended[to]! + 1
    this.#seconds[from] = this.#seconds[from]! + (from + 1) * this.#width - sent
    this.#seconds[to] = this.#seconds[to]! - ((to + 1) * this.#width - end)
    this.#requestSeconds += end - sent
    this.#used = Math.max(this.#used, to + 1)
  }

  merge(that: FlightGrid): void {
    this.#widen(that.#width)
    const ratio = this.#width / that.#width
    for (let cell = 0; cell < that.#used; cell++) {
      const to = Math.floor(cell / ratio)
      // From the end of that cell to the end of this one
      const rest = (to + 1) * this.#width - (cell + 1) * that.#width
      const sent = that.#sent[cell]!
      const ended = that.#ended[cell]!
      this.#sent[to] = this.#sent[to]! + sent
      this.#ended[to] = this.#ended[to]! + ended
      this.#seconds[to] = this.#seconds[to]! + that.#seconds[cell]! + (sent - ended) * rest
      this.#used = Math.max(this.#used, to + 1)
    }
    this.#requestSeconds += that.#requestSeconds
  }

  /** Why it cannot be of so many requests; `null` when it can. */
  misfit(requests: number): string | null {
    return sum(this.#sent) === requests && sum(this.#ended) === requests && this.#requestSeconds >= 0
      ? null
      : "other requests were sent than ended"
  }

  flight(): Flight {
    const width = this.#width
    let busySeconds = 0
    let most = 0
    let inFlight = 0
    for (let cell = 0; cell < this.#used; cell++) {
      const seconds = inFlight * width + this.#seconds[cell]!
      const ended = this.#ended[cell]!
      busySeconds += inFlight > ended ? width : Math.min(width, Math.max(0, seconds))
      most = Math.max(most, inFlight, Math.ceil(seconds / width - ROUNDING))
      inFlight += this.#sent[cell]! - ended
    }
    return { busySeconds, requestSeconds: this.#requestSeconds, most }
  }

  /** The width of a cell, the request-seconds, then of all cells in which something began or ended their numbers and what is known. */
  write(writer: ByteWriter): void {
    const cells = Uint32Array.from(this.#inUse())
    writer.double(this.#width)
    writer.double(this.#requestSeconds)
    writer.uint32s(cells)
    writer.uint32s(cells.map((cell) => this.#sent[cell]!))
    writer.uint32s(cells.map((cell) => this.#ended[cell]!))
    writer.doubles(Float64Array.from(cells, (cell) => this.#seconds[cell]!))
  }

  /** Reads into an empty grid. */
  read(reader: ByteReader): void {
    this.#width = reader.double()
    this.#requestSeconds = reader.double()
    const cells = reader.uint32s()
    const sent = reader.uint32s()
    const ended = reader.uint32s()
    const seconds = reader.doubles()
    const isWidth = this.#width >= FIRST_WIDTH && this.#width === 2 ** Math.round(Math.log2(this.#width))
    const isGrid = [sent, ended, seconds].every(({ length }) => length === cells.length)
    if (!isWidth || !isGrid || cells.some((cell) => cell >= CELLS)) {
      return reader.fail("the requests in flight make no sense")
    }
    for (const [i, cell] of cells.entries()) {
      this.#sent[cell] = sent[i]!
      this.#ended[cell] = ended[i]!
      this.#seconds[cell] = seconds[i]!
      this.#used = Math.max(this.#used, cell + 1)
    }
  }

  *#inUse(): Generator<number> {
    for (let cell = 0; cell < this.#used; cell++) {
      if (this.#sent[cell] !== 0 || this.#ended[cell] !== 0) yield cell
    }
  }

  /** Makes the cells at least so wide. */
  #widen(width: number): void {
    while (this.#width < width) {
      const used = this.#used
      this.#used = Math.ceil(used / 2)
      for (let cell = 0; cell < this.#used; cell++) {
        const left = 2 * cell
        // Beyond the last cell there may be none
        const right = left + 1
        const sent = this.#sent[left]!
        const ended = this.#ended[left]!
        // What was in flight from the left half on is so for all of the right half too
        this.#seconds[cell] = this.#seconds[left]! + (sent - ended) * this.#width + (this.#seconds[right] ?? 0)
        this.#sent[cell] = sent + (this.#sent[right] ?? 0)
        this.#ended[cell] = ended + (this.#ended[right] ?? 0)
      }
      for (const column of [this.#sent, this.#ended, this.#seconds]) column.fill(0, this.#used, used)
      this.#width *= 2
    }
  }
}
