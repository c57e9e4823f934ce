import type { ByteReader, ByteWriter } from "./bytes.ts"
import { type Flight, flight } from "./flight.ts"
import { FlightGrid } from "./FlightGrid.ts"
import { Values } from "./Values.ts"

const EXACT = 0
const GRID = 1

/** When requests were in flight: both moments of each of up to `limit` requests, and of more in a grid. */
export class Flights {
  readonly #limit: number
  #count = 0
  #first = 0
  #last = 0
  #sent = new Values()
  #end = new Values()
  #grid: FlightGrid | null = null

  constructor(limit: number) {
    this.#limit = limit
  }

  get count(): number {
    return this.#count
  }

  /** From the first request sent to the last; `null` when none was. */
  get sentSeconds(): number | null {
    return this.#count === 0 ? null : this.#last - this.#first
  }

  add(sentSeconds: number, endSeconds: number): void {
    this.#sentBetween(sentSeconds, sentSeconds)
    this.#count++
    if (this.#grid === null) {
      if (this.#sent.length < this.#limit) {
        this.#sent.push(sentSeconds)
        this.#end.push(endSeconds)
        return
      }
      this.#grid = this.#fold()
    }
    this.#grid.add(sentSeconds, endSeconds)
  }

  append(that: Flights): void {
    const sent = that.#sent.all()
    const end = that.#end.all()
    const isBeyond = this.#sent.length + sent.length > this.#limit
    if (that.#count > 0) this.#sentBetween(that.#first, that.#last)
    this.#count += that.#count
    if (this.#grid === null && (isBeyond || that.#grid !== null)) this.#grid = this.#fold()
    if (this.#grid === null) {
      this.#sent.append(sent)
      this.#end.append(end)
    } else if (that.#grid !== null) this.#grid.merge(that.#grid)
    else addAll(this.#grid, sent, end)
  }

  /** Why these cannot be so many requests that ended before that moment; `null` when they can. */
  misfit(requests: number, latest: number): string | null {
    if (!Number.isSafeInteger(this.#count) || this.#count < 0 || this.#count > requests) {
      return `${this.#count} of ${requests} requests were sent`
    }
    if (this.#grid !== null)
      return this.#count > this.#limit ? this.#grid.misfit(this.#count) : "a grid of few requests"
    const sent = this.#sent.all()
    const end = this.#end.all()
    const isPossible = sent.length === this.#count && end.every((at, index) => at >= sent[index]! && at <= latest)
    return isPossible ? null : "requests that ended before they were sent, or have not ended yet"
  }

  flight(): Flight {
    return this.#grid === null ? flight(this.#sent.sorted(), this.#end.sorted()) : this.#grid.flight()
  }

  /** The number, the first and the last moment, the kind as a byte, then the moments or the grid. */
  write(writer: ByteWriter): void {
    writer.double(this.#count)
    writer.double(this.#first)
    writer.double(this.#last)
    if (this.#grid === null) {
      writer.byte(EXACT)
      writer.doubles(this.#sent.all())
      writer.doubles(this.#end.all())
    } else {
      writer.byte(GRID)
      this.#grid.write(writer)
    }
  }

  /** Reads into an empty one. */
  read(reader: ByteReader): void {
    this.#count = reader.double()
    this.#first = reader.double()
    this.#last = reader.double()
    const kind = reader.byte()
    if (kind === GRID) {
      this.#grid = new FlightGrid()
      return this.#grid.read(reader)
    }
    this.#sent.append(reader.doubles())
    this.#end.append(reader.doubles())
    if (kind !== EXACT || this.#sent.length !== this.#end.length) reader.fail("the requests in flight make no sense")
  }

  #sentBetween(first: number, last: number): void {
    this.#first = this.#count === 0 ? first : Math.min(this.#first, first)
    this.#last = this.#count === 0 ? last : Math.max(this.#last, last)
  }

  #fold(): FlightGrid {
    const grid = new FlightGrid()
    addAll(grid, this.#sent.all(), this.#end.all())
    this.#sent = new Values()
    this.#end = new Values()
    return grid
  }
}

const addAll = (grid: FlightGrid, sent: Float64Array, end: Float64Array): void => {
  for (let i = 0; i < sent.length; i++) grid.add(sent[i]!, end[i]!)
}
