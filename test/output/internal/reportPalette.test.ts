import { assert, describe, it } from "@effect/vitest"
import { dark, light } from "../../../src/output/internal/reportPalette.ts"

type Rgb = readonly [red: number, green: number, blue: number]

/** Linear light of each channel, from 0 to 1. */
const linear = (hex: string): Rgb => {
  const channel = (at: number): number => {
    const value = Number.parseInt(hex.slice(at, at + 2), 16) / 255
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4
  }
  return [channel(1), channel(3), channel(5)]
}

const luminance = ([red, green, blue]: Rgb): number => 0.2126 * red + 0.7152 * green + 0.0722 * blue

/** The contrast ratio of WCAG 2. */
const contrast = (a: string, b: string): number => {
  const [low = 0, high = 0] = [luminance(linear(a)), luminance(linear(b))].toSorted((x, y) => x - y)
  return (high + 0.05) / (low + 0.05)
}

/** What is seen without one kind of cones, in linear light (Machado, Oliveira and Fernandes 2009, severity 1). */
const vision: { readonly [name: string]: readonly [Rgb, Rgb, Rgb] } = {
  normal: [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1]
  ],
  protanopia: [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998]
  ],
  deuteranopia: [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.01182, 0.04294, 0.968881]
  ],
  tritanopia: [
    [1.255528, -0.076749, -0.178779],
    [-0.078411, 0.930809, 0.147602],
    [0.004733, 0.691367, 0.3039]
  ]
}

const seen = (rgb: Rgb, [a, b, c]: readonly [Rgb, Rgb, Rgb]): Rgb => {
  const row = ([x, y, z]: Rgb): number => Math.min(1, Math.max(0, x * rgb[0] + y * rgb[1] + z * rgb[2]))
  return [row(a), row(b), row(c)]
}

const lab = ([red, green, blue]: Rgb): Rgb => {
  const f = (t: number): number => (t > 0.008856 ? Math.cbrt(t) : 7.787 * t + 16 / 116)
  const x = f((0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.9505)
  const y = f(0.2126 * red + 0.7152 * green + 0.0722 * blue)
  const z = f((0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.089)
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)]
}

const difference = (a: Rgb, b: Rgb): number => Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2])

describe.each([
  ["light", light],
  ["dark", dark]
] as const)("the %s palette", (_, palette) => {
  it("has the contrast that WCAG asks for: 4.5 for text, 3 for lines and areas", () => {
    for (const text of [palette.ink, palette.muted, palette.accent, palette.good, palette.warn, palette.bad]) {
      for (const ground of [palette.surface, palette.page]) assert.isAtLeast(contrast(text, ground), 4.5, text)
    }
    for (const color of palette.series) assert.isAtLeast(contrast(color, palette.surface), 3, color)
  })

  it("has series that can be told apart with each kind of colour vision", () => {
    for (const [name, cones] of Object.entries(vision)) {
      const colors = palette.series.slice(0, 6).map((color) => lab(seen(linear(color), cones)))
      for (const [i, a] of colors.entries()) {
        for (const [j, b] of colors.slice(0, i).entries()) {
          assert.isAtLeast(difference(a, b), 10, `${name}: ${palette.series[i]} and ${palette.series[j]}`)
        }
      }
    }
  })
})
