import { initWasm, Resvg } from "@resvg/resvg-wasm"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import { fileURLToPath } from "node:url"
import { fontFamily, pngAssets } from "./pngAssets.ts"

type Asset = (typeof pngAssets)[keyof typeof pngAssets]

/** Where an asset may be: beside the program, seen from the library, and in a checkout. */
const placesOf = ({ from, name }: Asset): ReadonlyArray<string> =>
  [`./${name}`, `../../../bin/${name}`, `../../../node_modules/${from}`].map((relative) =>
    fileURLToPath(new URL(relative, import.meta.url))
  )

const read = Effect.fnUntraced(function* (asset: Asset) {
  const fs = yield* FileSystem.FileSystem
  const places = placesOf(asset)
  for (const path of places) {
    if (yield* fs.exists(path)) return yield* fs.readFile(path)
  }
  return yield* Effect.die(new Error(`${asset.name} is in none of ${places.join(", ")}`))
}, Effect.orDie)

/** The program may be started only once in a process. */
let started: Promise<void> | undefined

/**
 * An image as PNG, with so many pixels for each of its own. No font of the system is used: the same image gives the same bytes
 * everywhere.
 */
export const png = Effect.fnUntraced(function* (svg: string, scale: number) {
  const [wasm, ...fontBuffers] = yield* Effect.all(
    [read(pngAssets.wasm), read(pngAssets.regular), read(pngAssets.semiBold)],
    { concurrency: "unbounded" }
  )
  yield* Effect.promise(() => (started ??= initWasm(wasm)))
  return yield* Effect.sync(() => {
    const drawing = new Resvg(svg, {
      fitTo: { mode: "zoom", value: scale },
      font: { fontBuffers, defaultFontFamily: fontFamily, sansSerifFamily: fontFamily }
    })
    try {
      const image = drawing.render()
      try {
        return image.asPng()
      } finally {
        image.free()
      }
    } finally {
      drawing.free()
    }
  })
})
