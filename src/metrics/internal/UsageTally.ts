import type { UsageComparison } from "../../domain/Summary.ts"
import type { ByteReader, ByteWriter } from "./bytes.ts"

/** Compares the token counts of the tokenizer with those of the server. */
export class UsageTally {
  #compared = 0
  #different = 0
  #withRatio = 0
  #ratios = 0
  #ours = 0
  #theirs = 0

  add(ours: number | null, theirs: number | null): void {
    if (ours === null || theirs === null) return
    this.#compared++
    this.#ours += ours
    this.#theirs += theirs
    if (ours !== theirs) this.#different++
    if (theirs > 0) {
      this.#withRatio++
      this.#ratios += Math.abs(ours - theirs) / theirs
    }
  }

  append(that: UsageTally): void {
    this.#compared += that.#compared
    this.#different += that.#different
    this.#withRatio += that.#withRatio
    this.#ratios += that.#ratios
    this.#ours += that.#ours
    this.#theirs += that.#theirs
  }

  /** Why it cannot be of so many requests; `null` when it can. */
  misfit(requests: number): string | null {
    const counts = [this.#compared, this.#different, this.#withRatio]
    const isCount = counts.every((count) => Number.isSafeInteger(count) && count >= 0 && count <= requests)
    return isCount && this.#different <= this.#compared && this.#withRatio <= this.#compared && this.#ratios >= 0
      ? null
      : `${counts.join(", ")} counts of the server`
  }

  comparison(): UsageComparison {
    return {
      num_requests_compared: this.#compared,
      num_requests_different: this.#different,
      mean_relative_difference: this.#withRatio === 0 ? null : this.#ratios / this.#withRatio,
      tokenizer_tokens: this.#ours,
      server_tokens: this.#theirs
    }
  }

  /** Six numbers. */
  write(writer: ByteWriter): void {
    const values = [this.#compared, this.#different, this.#withRatio, this.#ratios, this.#ours, this.#theirs]
    for (const value of values) writer.double(value)
  }

  /** Reads into an empty tally. */
  read(reader: ByteReader): void {
    this.#compared = reader.double()
    this.#different = reader.double()
    this.#withRatio = reader.double()
    this.#ratios = reader.double()
    this.#ours = reader.double()
    this.#theirs = reader.double()
  }
}
