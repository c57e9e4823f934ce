import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Summary from "../../domain/Summary.ts"
import type { ByteReader, ByteWriter } from "./bytes.ts"

/** Kinds of failure that are told apart; a server that makes up codes without end must not fill the memory. */
const MAX_KINDS = 256
const MAX_EXAMPLE_CHARACTERS = 500

/** What the kinds beyond the limit are counted under. */
export const OTHER = "(other)"

/** Counts failures by reason and code, and keeps the message of the first of each kind. */
export class ErrorTally {
  readonly #groups = new Map<string, Summary.ErrorGroup>()

  add(reason: string, code: number | string | null, message: string, retryAfter: number | null = null): void {
    this.#add({
      reason,
      code,
      count: 1,
      example: message,
      ...(retryAfter === null ? {} : { retry_after_s: retryAfter })
    })
  }

  #add(group: Summary.ErrorGroup): void {
    const { code, count, example, reason, retry_after_s: retryAfter } = group
    const key = JSON.stringify([reason, code])
    const known = this.#groups.get(key)
    if (known !== undefined) {
      const longest = retryAfter === undefined ? {} : { retry_after_s: Math.max(known.retry_after_s ?? 0, retryAfter) }
      this.#groups.set(key, { ...known, count: known.count + count, ...longest })
    } else if (this.#groups.size < MAX_KINDS || reason === OTHER) {
      this.#groups.set(key, { ...group, example: example.slice(0, MAX_EXAMPLE_CHARACTERS) })
    } else {
      this.#add({ ...group, reason: OTHER, code: OTHER })
    }
  }

  append(that: ErrorTally): void {
    for (const group of that.groups()) this.#add(group)
  }

  /** How many failures there were. */
  get total(): number {
    let total = 0
    for (const { count } of this.#groups.values()) total += count
    return total
  }

  /** Most frequent first; among equals by name, so that the order does not depend on which came first. */
  groups(): Array<Summary.ErrorGroup> {
    return [...this.#groups.values()].toSorted(
      (a, b) => b.count - a.count || compare(a.reason, b.reason) || compare(String(a.code), String(b.code))
    )
  }

  /** The groups as JSON. */
  write(writer: ByteWriter): void {
    writer.bytes(new TextEncoder().encode(JSON.stringify(this.groups())))
  }

  /** Reads into an empty tally. */
  read(reader: ByteReader): void {
    const groups = decodeGroups(new TextDecoder().decode(reader.bytes()))
    if (Option.isNone(groups)) return reader.fail("the errors make no sense")
    for (const group of groups.value) this.#add(group)
  }

  byCode(): Summary.Frequency {
    return frequency(this.groups(), (group) => String(group.code))
  }

  byReason(): Summary.Frequency {
    return frequency(this.groups(), (group) => group.reason)
  }
}

const decodeGroups = Schema.decodeOption(Schema.fromJsonString(Schema.Array(Summary.ErrorGroup)))

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

// A map, because a server's code can be any text, `__proto__` too
const frequency = (
  groups: ReadonlyArray<Summary.ErrorGroup>,
  nameOf: (group: Summary.ErrorGroup) => string
): Summary.Frequency => {
  const counts = new Map<string, number>()
  for (const group of groups) counts.set(nameOf(group), (counts.get(nameOf(group)) ?? 0) + group.count)
  return Object.fromEntries([...counts].toSorted((a, b) => b[1] - a[1]))
}
