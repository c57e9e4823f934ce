/**
 * The files that PNG images are drawn with: the program, and the letters. `name` is what a build calls one, `from` where it is in
 * the packages of a checkout.
 *
 * The letters are Arimo's, which are as wide as Arial's: by those the charts' library measures texts where there is no browser.
 */
export const pngAssets = {
  wasm: { name: "resvg.wasm", from: "@resvg/resvg-wasm/index_bg.wasm" },
  regular: { name: "Arimo-Regular.ttf", from: "@expo-google-fonts/arimo/400Regular/Arimo_400Regular.ttf" },
  semiBold: { name: "Arimo-SemiBold.ttf", from: "@expo-google-fonts/arimo/600SemiBold/Arimo_600SemiBold.ttf" }
} as const

/** The family that the fonts say they are. */
export const fontFamily = "Arimo"
