import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { font } from "../../../src/output/internal/reportChartParts.ts"
import { png } from "../../../src/output/internal/png.ts"
import { inked, pixelsOf } from "../pngPixels.ts"

const image = (content: string): string =>
  `<svg xmlns="http://www.w3.org/2000/svg" width="400" height="60"><rect width="400" height="60" fill="#fff"/>${content}</svg>`

const text = (content: string, style = ""): string =>
  image(`<text x="20" y="40" style="font-family:${font};font-size:20px;${style}">${content}</text>`)

const draw = (svg: string, scale = 1) => Effect.map(png(svg, scale), pixelsOf).pipe(Effect.provide(NodeServices.layer))

describe("png", () => {
  it.effect("has so many pixels for each of the image, whoever draws at the same time", () =>
    Effect.gen(function* () {
      const line = image('<rect x="10" y="20" width="30" height="10" fill="#0072b2"/>')
      const images = yield* Effect.forEach([1, 2, 2.5], (scale) => draw(line, scale), { concurrency: "unbounded" })
      assert.deepStrictEqual(
        images.map(({ height, width }) => [width, height]),
        [
          [400, 60],
          [800, 120],
          [1_000, 150]
        ]
      )
      const [plain, twice] = images.map(inked)
      assert.deepStrictEqual(plain, { left: 10, right: 39, top: 20, bottom: 29, count: 300 })
      assert.deepStrictEqual(twice, { left: 20, right: 79, top: 40, bottom: 59, count: 1_200 })
      assert.strictEqual(images[0]?.at(10, 20), "#0072b2")
    })
  )

  it.effect("writes texts as wide as Arial, which is what their places are computed with", () =>
    Effect.gen(function* () {
      // Advance widths of Arial, in thousandths: W 944, i 222, d and e 556, t and the space 278, x 500
      const wanted = ((944 + 222 + 3 * 556 + 3 * 278 + 500) / 1_000) * 20
      const { bottom, left, right, top } = inked(yield* draw(text("Wide text")))
      assert.closeTo(right - left + 1, wanted, 2)
      assert.closeTo(left, 20, 1)
      assert.closeTo(bottom, 39, 1)
      // An ascender is 0.73 high, a capital 0.716; the edges are soft
      assert.closeTo(bottom - top + 1, 0.73 * 20, 2)
    })
  )

  it.effect("has letters of different shape, and bolder ones for headings", () =>
    Effect.gen(function* () {
      const count = (content: string, style?: string) =>
        Effect.map(draw(text(content, style)), (pixels) => inked(pixels).count)
      assert.isAbove(yield* count("mmm"), 2 * (yield* count("iii")))
      assert.isAbove(yield* count("Title", "font-weight:600"), 1.1 * (yield* count("Title")))
      // What there is no letter for is drawn as a box; these have letters
      const box = inked(yield* draw(text("\u{E000}")))
      for (const letter of ["µ", "…", "–", "·", "≥", "×", "é", "Я", "Ω"]) {
        assert.notDeepEqual(inked(yield* draw(text(letter))), box, letter)
      }
    })
  )

  it.effect("gives the same bytes for the same image", () =>
    Effect.gen(function* () {
      const once = yield* png(text("again"), 2)
      assert.deepStrictEqual(yield* png(text("again"), 2), once)
    }).pipe(Effect.provide(NodeServices.layer))
  )
})
