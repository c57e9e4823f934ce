/** When each request came and when each of its chunks was sent, in epoch seconds; kept until it is asked for. */
export interface Entry {
  readonly id: number
  readonly requestId: string
  readonly received: number
  readonly sent: Array<number>
}

export interface Truth {
  readonly add: (entry: Entry, ok: boolean) => void
  /** NDJSON of what was added since the last call. */
  readonly take: () => string
  /** Entries thrown away because there were too many. */
  readonly dropped: () => number
}

const line = ({ id, received, requestId, sent }: Entry, ok: boolean): string =>
  `{"id":${id},"rid":${JSON.stringify(requestId)},"recv":${received.toFixed(6)},"ok":${ok},"tokens":[${sent
    .map((at) => at.toFixed(6))
    .join(",")}]}\n`

/** Holds entries with up to `limit` moments altogether; beyond that the oldest go. */
export const make = (limit: number): Truth => {
  let entries: Array<readonly [Entry, boolean]> = []
  let first = 0
  let held = 0
  let dropped = 0
  const size = (entry: Entry): number => entry.sent.length + 1
  return {
    add: (entry, ok) => {
      entries.push([entry, ok])
      held += size(entry)
      while (held > limit && first < entries.length - 1) {
        const oldest = entries[first]
        if (oldest !== undefined) held -= size(oldest[0])
        first += 1
        dropped += 1
      }
      if (first > 1024 && first * 2 > entries.length) {
        entries = entries.slice(first)
        first = 0
      }
    },
    take: () => {
      const text = entries
        .slice(first)
        .map(([entry, ok]) => line(entry, ok))
        .join("")
      entries = []
      first = 0
      held = 0
      return text
    },
    dropped: () => dropped
  }
}
