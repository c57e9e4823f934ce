import { inflateSync } from "node:zlib"

/** `at(x, y)`: the pixel as `#rrggbb`; all are opaque or it throws. */
export interface Pixels {
  readonly width: number
  readonly height: number
  readonly at: (x: number, y: number) => string
}

const SIGNATURE = Buffer.from([137, 80, 78, 71, 13, 10, 26, 10])
const CHANNELS = 4

const chunksOf = (png: Buffer): ReadonlyArray<readonly [type: string, data: Buffer]> => {
  const chunks: Array<readonly [string, Buffer]> = []
  for (let at = SIGNATURE.length; at < png.length;) {
    const length = png.readUInt32BE(at)
    chunks.push([png.toString("latin1", at + 4, at + 8), png.subarray(at + 8, at + 8 + length)])
    at += length + 12
  }
  return chunks
}

const paeth = (a: number, b: number, c: number): number => {
  const p = a + b - c
  const [pa, pb, pc] = [Math.abs(p - a), Math.abs(p - b), Math.abs(p - c)]
  return pa <= pb && pa <= pc ? a : pb <= pc ? b : c
}

/** Reads a PNG of eight bits for each of red, green, blue and alpha, without interlacing, as the specification of PNG says. */
export const pixelsOf = (bytes: Uint8Array): Pixels => {
  const png = Buffer.from(bytes)
  if (!png.subarray(0, SIGNATURE.length).equals(SIGNATURE)) throw new Error("not a PNG")
  const chunks = chunksOf(png)
  const header = chunks[0]?.[1] ?? Buffer.alloc(13)
  const width = header.readUInt32BE(0)
  const height = header.readUInt32BE(4)
  if (header.toString("hex", 8) !== "0806000000") throw new Error("not RGBA with eight bits")
  const data = inflateSync(Buffer.concat(chunks.flatMap(([type, part]) => (type === "IDAT" ? [part] : []))))
  const stride = width * CHANNELS
  const pixels = Buffer.alloc(stride * height)
  for (let y = 0; y < height; y++) {
    const filter = data[y * (stride + 1)] ?? 0
    for (let x = 0; x < stride; x++) {
      const left = x < CHANNELS ? 0 : (pixels[y * stride + x - CHANNELS] ?? 0)
      const up = y === 0 ? 0 : (pixels[(y - 1) * stride + x] ?? 0)
      const corner = x < CHANNELS || y === 0 ? 0 : (pixels[(y - 1) * stride + x - CHANNELS] ?? 0)
      const predicted = [0, left, up, (left + up) >> 1, paeth(left, up, corner)][filter] ?? 0
      pixels[y * stride + x] = (data[y * (stride + 1) + 1 + x] ?? 0) + predicted
    }
  }
  return {
    width,
    height,
    at: (x, y) => {
      const from = y * stride + x * CHANNELS
      if (pixels[from + 3] !== 255) throw new Error(`the pixel at ${x}, ${y} is not opaque`)
      return `#${pixels.toString("hex", from, from + 3)}`
    }
  }
}

/** The smallest box that holds all pixels which are not of the colour of the upper left corner, and how many those are. */
export const inked = ({ at, height, width }: Pixels) => {
  const ground = at(0, 0)
  const box = { left: width, top: height, right: -1, bottom: -1, count: 0 }
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (at(x, y) === ground) continue
      box.left = Math.min(box.left, x)
      box.right = Math.max(box.right, x)
      box.top = Math.min(box.top, y)
      box.bottom = Math.max(box.bottom, y)
      box.count++
    }
  }
  return box
}
