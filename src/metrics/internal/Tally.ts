import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { Frequency } from "../../domain/Summary.ts"
import type { ByteReader, ByteWriter } from "./bytes.ts"
import { OTHER } from "./ErrorTally.ts"

/** Names that are told apart; a server that makes up names without end must not fill the memory. */
const MAX_NAMES = 256

/** Counts names. */
export class Tally {
  // A map, because a server's name can be any text, `__proto__` too
  readonly #counts = new Map<string, number>()

  add(name: string, count = 1): void {
    const key = this.#counts.has(name) || this.#counts.size < MAX_NAMES ? name : OTHER
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + count)
  }

  append(that: Tally): void {
    for (const [name, count] of that.#counts) this.add(name, count)
  }

  /** Most frequent first; among equals by name. */
  frequency(): Frequency {
    return Object.fromEntries(
      [...this.#counts].toSorted(([a, first], [b, second]) => second - first || (a < b ? -1 : a > b ? 1 : 0))
    )
  }

  /** As JSON. */
  write(writer: ByteWriter): void {
    writer.bytes(new TextEncoder().encode(JSON.stringify(this.frequency())))
  }

  /** Reads into an empty tally. */
  read(reader: ByteReader): void {
    const frequency = decode(new TextDecoder().decode(reader.bytes()))
    if (Option.isNone(frequency)) return reader.fail("the reasons of answers make no sense")
    for (const [name, count] of Object.entries(frequency.value)) this.add(name, count)
  }
}

const decode = Schema.decodeOption(Schema.fromJsonString(Frequency))
