import * as Zlib from "node:zlib"

type Inflater = Zlib.Unzip | Zlib.BrotliDecompress | Zlib.ZstdDecompress

// With the usual `finishFlush` a body that was cut off is an error, and the last piece of it is lost.
const inflaterOf = (encoding: string): Inflater | undefined => {
  switch (encoding) {
    case "gzip":
    case "x-gzip":
    case "deflate":
      return Zlib.createUnzip({ flush: Zlib.constants.Z_SYNC_FLUSH, finishFlush: Zlib.constants.Z_SYNC_FLUSH })
    case "br":
      return Zlib.createBrotliDecompress({
        flush: Zlib.constants.BROTLI_OPERATION_FLUSH,
        finishFlush: Zlib.constants.BROTLI_OPERATION_FLUSH
      })
    case "zstd":
      return Zlib.createZstdDecompress({ finishFlush: Zlib.constants.ZSTD_e_continue })
    default:
      return undefined
  }
}

/**
 * Decompresses an answer as it comes. What comes out carries the time at which the compressed piece it was made of
 * arrived at the socket, not the time at which zlib was through with it.
 */
export class Inflate {
  readonly #inflater: Inflater
  readonly #arrivals: Array<number> = []

  private constructor(inflater: Inflater) {
    this.#inflater = inflater
  }

  /** `undefined` when the encoding is unknown. */
  static make(
    encoding: string,
    handlers: {
      readonly onBytes: (bytes: Buffer, at: number) => void
      readonly onError: (error: Error) => void
      readonly onEnd: () => void
    }
  ): Inflate | undefined {
    const inflater = inflaterOf(encoding)
    if (inflater === undefined) return undefined
    const self = new Inflate(inflater)
    inflater.on("data", (bytes: Buffer) => handlers.onBytes(bytes, self.#arrivals[0] ?? 0))
    inflater.on("error", handlers.onError)
    inflater.on("end", handlers.onEnd)
    return self
  }

  /** zlib works through its input piece by piece and calls back after the output of each. */
  write(bytes: Uint8Array, at: number): void {
    this.#arrivals.push(at)
    this.#inflater.write(bytes, () => {
      if (this.#arrivals.length > 1) this.#arrivals.shift()
    })
  }

  end(): void {
    this.#inflater.end()
  }

  destroy(): void {
    this.#inflater.destroy()
  }
}
